"""The SQL of documents."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.models import Document

_EXTERNAL_ID_LOCK: Final = 1_768_845_674  # an arbitrary number, for PostgreSQL


def add(session: Session, document: Document) -> None:
    """Write a new document."""
    session.add(document)
    session.flush()


def find(session: Session, document_id: str) -> Document | None:
    """The document, if it exists."""
    return session.get(Document, document_id)


def find_all(session: Session, document_ids: Sequence[str], *, keep: bool = False) -> Sequence[Document]:
    """Those of the documents that exist. With `keep` nobody can delete them before the transaction ends.

    Who locks documents and jobs locks the documents first, or two transactions could wait for each other.
    """
    statement = select(Document).where(Document.id.in_(document_ids)).order_by(Document.id)
    return session.scalars(statement.with_for_update(read=True, key_share=True) if keep else statement).all()


def lock(session: Session, document_id: str) -> Document | None:
    """The document, if it exists, with its row locked until the transaction ends: no adapter is made from it now."""
    return session.scalar(select(Document).where(Document.id == document_id).with_for_update())


def current(session: Session, external_id: str) -> Document | None:
    """The document under this external id that was not replaced, if there is one.

    Until the transaction ends nobody else can replace it, or post the first one under this id. Adapters can be made
    from it meanwhile.
    """
    if session.get_bind().dialect.name == "postgresql":  # SQLite's transactions take turns anyway
        session.execute(select(func.pg_advisory_xact_lock(_EXTERNAL_ID_LOCK, func.hashtext(external_id))))
    statement = select(Document).where(Document.external_id == external_id, Document.replaced_by.is_(None))
    return session.scalar(statement.with_for_update(key_share=True))


def remove(session: Session, document: Document) -> None:
    """Delete the document's row."""
    session.delete(document)
    session.flush()


def list_page(
    session: Session, *, limit: int, cursor: str | None, external_id: str | None = None
) -> Sequence[Document]:
    """Up to `limit` documents, newest first; `cursor` is the last id of the page before.

    Of those under one external id the current one comes first: of many posted at once it need not be the newest.
    """
    current = Document.replaced_by.is_(None)
    statement = select(Document).limit(limit)
    if external_id is not None:
        statement = statement.where(Document.external_id == external_id).order_by(current.desc())
    if cursor is not None:
        behind: ColumnElement[bool] = Document.id < cursor
        if external_id is not None:
            behind = ~current & (behind | select(Document.id).where(Document.id == cursor, current).exists())
        statement = statement.where(behind)
    return session.scalars(statement.order_by(Document.id.desc())).all()
