"""The SQL of idempotency keys."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.models import IdempotencyKey


def find(session: Session, key: str, path: str) -> IdempotencyKey | None:
    """The answer that was kept for a key, if there is one."""
    return session.get(IdempotencyKey, (key, path))


def add(session: Session, kept: IdempotencyKey) -> None:
    """Keep an answer. Raises SQLAlchemy's IntegrityError where another request was faster."""
    session.add(kept)
    session.flush()


def forget_before(session: Session, moment: datetime) -> None:
    """Forget the answers that were kept before `moment`."""
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < moment))
