"""The tables. The row is the truth: queues, files and engines follow it."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, MetaData, String, Text, TypeDecorator, UniqueConstraint
from sqlalchemy import DateTime as SqlDateTime
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in UTC. SQLite forgets time zones; this gives them back."""

    impl = SqlDateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JobStatus(StrEnum):
    """What a job is doing. The last three are final, save that a failed or cancelled job can be retried."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AdapterStatus(StrEnum):
    """Whether an adapter can answer. It is ready only after publish has tried it in the engine."""

    PENDING = "pending"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


STAGES = ("read", "ask", "answer", "distil", "examine", "publish")


class Base(DeclarativeBase):
    # Every constraint has a name, without which SQLite's could never be changed by a migration.
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, str: String}


class Document(Base):
    """What a user posted. Its original bytes and its text are in the store, under `documents/<id>/`."""

    __tablename__ = "documents"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(String(500))
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int]
    words: Mapped[int]
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata")
    external_id: Mapped[str | None] = mapped_column(String(200), index=True)
    replaced_by: Mapped[str | None] = mapped_column(String(40))  # no foreign key: true after a deletion, too
    replaced_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)


class Adapter(Base):
    """A LoRA made from one or more documents. Immutable once ready: its bytes are known by `sha256`."""

    __tablename__ = "adapters"

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    status: Mapped[str] = mapped_column(String(20), default=AdapterStatus.PENDING, index=True)
    base_model: Mapped[str] = mapped_column(String(500))
    base_revision: Mapped[str | None] = mapped_column(String(100))  # a commit, or sha256:…; known once it is ready
    parent_id: Mapped[str | None] = mapped_column(String(40), index=True)  # no foreign key, as `replaced_by` has none
    settings: Mapped[dict[str, Any]]
    alias: Mapped[str | None] = mapped_column(String(64))
    sha256: Mapped[str | None] = mapped_column(String(64))
    size_bytes: Mapped[int | None] = mapped_column(BigInteger)  # a large model's adapter can exceed 2 GiB
    # With each answer to each question: loaded only where it is asked for.
    report: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True), deferred=True, deferred_raiseload=True
    )
    failed_floors: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))  # None: not degraded
    user_metadata: Mapped[dict[str, Any]] = mapped_column("metadata")
    created_at: Mapped[datetime] = mapped_column(default=now)
    ready_at: Mapped[datetime | None]

    documents: Mapped[list[Document]] = relationship(secondary="adapter_documents", order_by=Document.id)
    job: Mapped["Job"] = relationship(back_populates="adapter")

    @property
    def degraded(self) -> bool:
        return bool(self.failed_floors)


class AdapterDocument(Base):
    """Which documents an adapter was made from."""

    __tablename__ = "adapter_documents"

    adapter_id: Mapped[str] = mapped_column(ForeignKey("adapters.id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[str] = mapped_column(ForeignKey("documents.id"), primary_key=True, index=True)


class Alias(Base):
    """A user's name that points at an adapter, and can be re-pointed at once."""

    __tablename__ = "aliases"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    adapter_id: Mapped[str] = mapped_column(ForeignKey("adapters.id", ondelete="CASCADE"), index=True)
    updated_at: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Job(Base):
    """The making of one adapter.

    A worker may act on it only while it holds the lease: `lease_token` grows with every lease, and every write of
    a worker names the token it was given, so that a worker that lost its lease can change nothing.
    """

    __tablename__ = "jobs"
    __table_args__ = (Index("ix_jobs_status_lease", "status", "lease_expires_at"),)

    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    adapter_id: Mapped[str] = mapped_column(ForeignKey("adapters.id", ondelete="CASCADE"), unique=True)
    status: Mapped[str] = mapped_column(String(20), default=JobStatus.QUEUED)
    stage: Mapped[str | None] = mapped_column(String(20))
    done: Mapped[int] = mapped_column(default=0)
    total: Mapped[int] = mapped_column(default=0)
    finished_stages: Mapped[dict[str, Any]] = mapped_column(default=dict)  # stage -> {"seconds", "summary"}
    stage_started_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None] = mapped_column(String(200))
    lease_token: Mapped[int] = mapped_column(default=0)
    lease_expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(default=now)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    adapter: Mapped[Adapter] = relationship(back_populates="job")


class JobEvent(Base):
    """Something that happened to a job, numbered from 1 within it: what `/events` gives."""

    __tablename__ = "job_events"
    __table_args__ = (UniqueConstraint("job_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    number: Mapped[int]
    type: Mapped[str] = mapped_column(String(40))
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(default=now)


class OutboxEntry(Base):
    """A wake-up that the relay still has to hand to the broker. Written with the job, in one transaction."""

    __tablename__ = "outbox"
    # SQLite would else give a deleted row's id to the next one, and a slow relay would delete a wake-up it never sent.
    __table_args__ = {"sqlite_autoincrement": True}

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(default=now)


class IdempotencyKey(Base):
    """The answer to a POST that created something, kept so that the same request gives the same answer."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    path: Mapped[str] = mapped_column(String(255), primary_key=True)
    request_sha256: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    response: Mapped[dict[str, Any]] = mapped_column(JSON)
    location: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=now)
