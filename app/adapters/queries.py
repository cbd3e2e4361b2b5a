"""The SQL of adapters and aliases."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Insert, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session, selectinload

from app.models import Adapter, AdapterStatus, Alias, Document, Job, now


def add(session: Session, adapter: Adapter) -> None:
    """Write a new adapter and what it is made from."""
    session.add(adapter)
    session.flush()


def find(session: Session, adapter_id: str) -> Adapter | None:
    """The adapter with its documents and its job, if it exists."""
    statement = select(Adapter).where(Adapter.id == adapter_id)
    return session.scalar(statement.options(selectinload(Adapter.documents), selectinload(Adapter.job)))


def report_of(session: Session, adapter_id: str) -> dict[str, Any] | None:
    """The adapter's report as its job left it; None where there is none."""
    return session.scalar(select(Adapter.report).where(Adapter.id == adapter_id))


def existing(session: Session, adapter_ids: Collection[str]) -> set[str]:
    """Those of the adapters that exist."""
    return set(session.scalars(select(Adapter.id).where(Adapter.id.in_(adapter_ids))))


def list_page(session: Session, *, limit: int, cursor: str | None, status: AdapterStatus | None) -> Sequence[Adapter]:
    """Up to `limit` adapters, newest first; `cursor` is the last id of the page before."""
    statement = select(Adapter).order_by(Adapter.id.desc()).limit(limit)
    if cursor is not None:
        statement = statement.where(Adapter.id < cursor)
    if status is not None:
        statement = statement.where(Adapter.status == status)
    return session.scalars(statement.options(selectinload(Adapter.documents), selectinload(Adapter.job))).all()


def list_ready(session: Session) -> Sequence[Adapter]:
    """All adapters that can answer, newest first."""
    statement = select(Adapter).where(Adapter.status == AdapterStatus.READY)
    return session.scalars(statement.order_by(Adapter.id.desc())).all()


def find_degraded(session: Session, alias: str) -> Adapter | None:
    """The newest degraded adapter that was to get the alias."""
    statement = select(Adapter).where(Adapter.alias == alias, Adapter.failed_floors.is_not(None))
    return session.scalar(statement.order_by(Adapter.id.desc()).limit(1))


def lock_job(session: Session, adapter_id: str) -> Job | None:
    """The adapter's job, with its row locked until the transaction ends: no worker can take it meanwhile."""
    statement = select(Job).where(Job.adapter_id == adapter_id).with_for_update()
    return session.scalar(statement.execution_options(populate_existing=True))


def unfinished_children(session: Session, adapter_id: str) -> Sequence[Adapter]:
    """The adapters that go on from this one and are not ready: their jobs still need its pairs and weights."""
    statement = select(Adapter).where(Adapter.parent_id == adapter_id, Adapter.status != AdapterStatus.READY)
    return session.scalars(statement.order_by(Adapter.id)).all()


def made_from(session: Session, document_id: str) -> Sequence[Adapter]:
    """All adapters that were made from the document, newest first."""
    statement = select(Adapter).where(Adapter.documents.any(Document.id == document_id))
    return session.scalars(statement.order_by(Adapter.id.desc())).all()


def remove(session: Session, adapter_id: str) -> None:
    """Delete the adapter, and with it its aliases, its job and the job's events."""
    session.execute(delete(Adapter).where(Adapter.id == adapter_id))


def find_alias(session: Session, name: str) -> Alias | None:
    """The alias, if it exists."""
    return session.get(Alias, name)


def names_of(session: Session, adapter_ids: Iterable[str]) -> dict[str, list[str]]:
    """The names of the aliases that point at each of the adapters."""
    names = defaultdict(list)
    statement = select(Alias).where(Alias.adapter_id.in_(list(adapter_ids))).order_by(Alias.name)
    for alias in session.scalars(statement):
        names[alias.adapter_id].append(alias.name)
    return names


def list_aliases(session: Session, *, limit: int, cursor: str | None) -> Sequence[Alias]:
    """Up to `limit` aliases, by name; `cursor` is the last name of the page before."""
    statement = select(Alias).order_by(Alias.name).limit(limit)
    if cursor is not None:
        statement = statement.where(Alias.name > cursor)
    return session.scalars(statement).all()


def list_serving_aliases(session: Session) -> Sequence[Alias]:
    """All aliases of adapters that can answer, by name."""
    statement = select(Alias).join(Adapter, Adapter.id == Alias.adapter_id)
    return session.scalars(statement.where(Adapter.status == AdapterStatus.READY).order_by(Alias.name)).all()


def reserve_alias(session: Session, name: str, adapter_id: str) -> None:
    """Point a new alias at an adapter; one that exists stays as it is, unless its adapter came to nothing by now."""
    ended = select(Adapter.id).where(Adapter.status.in_((AdapterStatus.FAILED, AdapterStatus.CANCELLED)))
    session.execute(_taking_over(_insert(session, name, adapter_id), Alias.adapter_id.in_(ended)))


def point_alias(session: Session, name: str, adapter_id: str) -> Alias:
    """Point an alias, new or not, at an adapter."""
    session.execute(_taking_over(_insert(session, name, adapter_id)))
    return session.get_one(Alias, name, populate_existing=True)


def remove_alias(session: Session, name: str) -> bool:
    """Delete the alias; return whether it was there."""
    return session.scalar(delete(Alias).where(Alias.name == name).returning(Alias.name)) is not None


def _taking_over(
    statement: postgresql.Insert | sqlite.Insert, where: ColumnElement[bool] | None = None
) -> postgresql.Insert | sqlite.Insert:
    """The INSERT of an alias, which takes the place of one that there is (`where` it may)."""
    values = {"adapter_id": statement.excluded.adapter_id, "updated_at": statement.excluded.updated_at}
    return statement.on_conflict_do_update(index_elements=["name"], set_=values, where=where)


def _insert(session: Session, name: str, adapter_id: str) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that can say what to do ON CONFLICT, which only the dialects' own can."""
    is_postgres = session.get_bind().dialect.name == "postgresql"
    insert: type[Insert] = postgresql.Insert if is_postgres else sqlite.Insert
    statement = insert(Alias).values(name=name, adapter_id=adapter_id, updated_at=now())
    assert isinstance(statement, postgresql.Insert | sqlite.Insert)  # noqa: S101
    return statement
