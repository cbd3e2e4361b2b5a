"""The SQL of documents."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.models import Document


def add(session: Session, document: Document) -> None:
    """Write a new document."""
    session.add(document)
    session.flush()


def find(session: Session, document_id: str) -> Document | None:
    """The document, if it exists."""
    return session.get(Document, document_id)


def find_all(session: Session, document_ids: Sequence[str]) -> Sequence[Document]:
    """Those of the documents that exist."""
    return session.scalars(select(Document).where(Document.id.in_(document_ids))).all()


def list_page(session: Session, *, limit: int, cursor: str | None) -> Sequence[Document]:
    """Up to `limit` documents, newest first; `cursor` is the last id of the page before."""
    statement = select(Document).order_by(Document.id.desc()).limit(limit)
    if cursor is not None:
        statement = statement.where(Document.id < cursor)
    return session.scalars(statement).all()
