"""The SQL of health."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.models import Job, JobStatus, OutboxEntry, now


def touch(session: Session) -> None:
    """Ask the database something that needs its tables. Raises SQLAlchemy's errors where it cannot answer."""
    session.scalar(select(OutboxEntry.id).limit(1))


def outbox_length(session: Session) -> int:
    """How many wake-ups wait for the broker."""
    return session.scalar(select(func.count()).select_from(OutboxEntry)) or 0


def longest_wait_seconds(session: Session) -> float:
    """How long the oldest queued job has waited."""
    oldest = session.scalar(select(func.min(Job.created_at)).where(Job.status == JobStatus.QUEUED))
    return max(0.0, (now() - oldest).total_seconds()) if oldest else 0.0
