"""The SQL of a worker: take a job, keep it, and write to it only while it is held.

A lease has a fencing token, which grows with every lease of a job. Every write is `UPDATE ... WHERE id = :id AND
lease_token = :token AND status = 'running'`; where it changes no row, the lease is lost, `LeaseLost` is raised and the
transaction rolls back. So a worker that was paused and declared dead can change nothing when it comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import CursorResult, delete, func, or_, select, update
from sqlalchemy.orm import Session

from app.jobs.floors import FailedFloor
from app.jobs.progress import progress_data
from app.jobs.queries import (
    append_event,
    database_now,
    get,
    mark_cancelled,
    mark_failed,
    mark_queued,
)
from app.models import STAGES, Adapter, AdapterStatus, Alias, Job, JobStatus, now

GENERATING_STAGES: Final = ("ask", "answer", "publish")
"""These need the engine awake."""
TRAINING_STAGES: Final = ("distil", "examine")
"""These may take the memory of the engine's GPU (INGRAIN_VLLM_SLEEP)."""
_STARTS_LOCK: Final = 1_768_845_673  # an arbitrary number, for PostgreSQL


class LeaseLost(Exception):
    """The job is no longer this worker's: it was given to another, ended, or deleted. Nothing more may be written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job, until someone else is given a higher token."""

    job_id: str
    token: int


@dataclass(frozen=True, slots=True)
class Held:
    """A job that some worker holds, or held."""

    lease: Lease
    owner: str | None
    expired: bool


def take(session: Session, job_id: str, *, owner: str, seconds: float, max_attempts: int) -> Lease | None:
    """Lease a job that waits, or whose lease has expired; None where it is not to be had.

    One conditional UPDATE decides: of many workers that try at once, one gets it.
    """
    moment = database_now(session)
    expired = (Job.status == JobStatus.RUNNING) & (Job.lease_expires_at < moment) & ~Job.cancel_requested
    claim = (
        update(Job)
        .where(Job.id == job_id, or_(Job.status == JobStatus.QUEUED, expired & (Job.attempts < max_attempts)))
        .values(
            status=JobStatus.RUNNING,
            lease_owner=owner,
            lease_token=Job.lease_token + 1,
            lease_expires_at=moment + timedelta(seconds=seconds),
            attempts=Job.attempts + 1,
            started_at=now(),
            error=None,
        )
        .returning(Job.lease_token, Job.attempts)
        .execution_options(synchronize_session=False)
    )
    row = session.execute(claim).one_or_none()
    if row is None:
        return None
    append_event(session, job_id, "started", {"attempt": row.attempts})
    return Lease(job_id, row.lease_token)


def renew(session: Session, lease: Lease, seconds: float) -> bool:
    """The heartbeat: keep the lease for `seconds` more; return whether someone asked to cancel the job."""
    _write(session, lease, lease_expires_at=database_now(session) + timedelta(seconds=seconds))
    return cancel_requested(session, lease)


def cancel_requested(session: Session, lease: Lease) -> bool:
    """Whether someone asked to cancel the job.

    Raises:
        LeaseLost: it is no longer ours.
    """
    statement = select(Job.cancel_requested).where(*_ours(lease))
    asked = session.scalar(statement)
    if asked is None:
        raise LeaseLost(lease.job_id)
    return asked


def start_stage(session: Session, lease: Lease, stage: str) -> None:
    """A stage begins."""
    _one_start_at_a_time(session)
    _write(session, lease, stage=stage, done=0, total=0, stage_started_at=now())
    append_event(session, lease.job_id, "stage_started", {"stage": stage})


def start_generating(session: Session, lease: Lease, stage: str) -> bool:
    """A stage begins that needs the engine awake, unless another job trains; whether it began."""
    _one_start_at_a_time(session)
    if is_training(session, but_for=lease):
        return False
    start_stage(session, lease, stage)
    return True


def is_training(session: Session, *, but_for: Lease | None = None) -> bool:
    """Whether a job, other than the one of `but_for`, trains: from when distil begins until examine has ended."""
    return any("examine" not in finished for _, finished in _under_way(session, TRAINING_STAGES, but_for))


def is_generating(session: Session, *, but_for: Lease | None = None) -> bool:
    """Whether a job, other than the one of `but_for`, is in a stage that has the engine generate."""
    return any(stage not in finished for stage, finished in _under_way(session, GENERATING_STAGES, but_for))


def record_progress(session: Session, lease: Lease, done: int, total: int) -> None:
    """The running stage has done `done` of `total` units."""
    _write(session, lease, done=done, total=total)
    append_event(session, lease.job_id, "progress", progress_data(get(session, lease.job_id)))


def finish_stage(session: Session, lease: Lease, stage: str, seconds: float, summary: dict[str, Any]) -> None:
    """A stage's folder is whole in the store; a retry will not do it again."""
    finished = session.scalar(select(Job.finished_stages).where(*_ours(lease))) or {}
    result = {"seconds": round(seconds, 3), "summary": summary}
    _write(session, lease, finished_stages={**finished, stage: result})
    append_event(session, lease.job_id, "stage_finished", {"stage": stage, **result})


def forget_stages(session: Session, lease: Lease, first: str) -> None:
    """The folder of the stage `first` is gone from the store: it and those after it have to be done again."""
    kept = STAGES[: STAGES.index(first)]
    finished = session.scalar(select(Job.finished_stages).where(*_ours(lease))) or {}
    _write(session, lease, finished_stages={stage: finished[stage] for stage in kept if stage in finished})


def succeed(
    session: Session,
    lease: Lease,
    *,
    base_revision: str | None,
    sha256: str,
    size_bytes: int,
    report: dict[str, Any] | None,
    failed_floors: Sequence[FailedFloor] = (),
) -> None:
    """The adapter is ready and its alias points at it; the job ends. All in this one transaction.

    An adapter that failed a floor is ready too, but degraded: its alias does not point at it unless its settings say so
    (`alias_degraded`).

    `base_revision` is that of the base model it was made on; None where its stages were run before they told it.
    """
    _write(
        session,
        lease,
        status=JobStatus.SUCCEEDED,
        error=None,
        cancel_requested=False,
        finished_at=now(),
        lease_owner=None,
        lease_expires_at=None,
    )
    adapter = get(session, lease.job_id).adapter
    adapter.status = AdapterStatus.READY
    adapter.base_revision = base_revision
    adapter.sha256 = sha256
    adapter.size_bytes = size_bytes
    adapter.report = report
    adapter.ready_at = now()
    adapter.failed_floors = [failed.model_dump() for failed in failed_floors] or None
    held_back = adapter.alias if adapter.degraded and not adapter.settings.get("alias_degraded") else None
    if held_back:
        _release_alias(session, held_back, adapter)
    elif adapter.alias:
        _point_alias(session, adapter.alias, adapter)
    if adapter.degraded:
        told = {"adapter_id": adapter.id, "failed_floors": adapter.failed_floors, "held_back": held_back}
        append_event(session, lease.job_id, "degraded", told)
    append_event(session, lease.job_id, "succeeded", {"adapter_id": adapter.id})


def fail(session: Session, lease: Lease, error: dict[str, Any]) -> None:
    """The job ends with an error: {"type", "title", "detail", "stage"}."""
    mark_failed(session, _held(session, lease), error)


def cancel(session: Session, lease: Lease) -> None:
    """The worker has stopped the stage, as was asked."""
    mark_cancelled(session, _held(session, lease))


def give_back(session: Session, lease: Lease) -> None:
    """The worker shuts down in good order: the job waits for another one, and this start does not count."""
    job = _held(session, lease)
    if job.cancel_requested:
        mark_cancelled(session, job)
        return
    job.attempts -= 1
    mark_queued(session, job)
    append_event(session, job.id, "retrying", {"reason": "Its worker was shut down; the next one goes on."})


def held_jobs(session: Session) -> list[Held]:
    """All running jobs, with who holds them and whether the lease has expired."""
    moment = database_now(session)
    statement = select(Job.id, Job.lease_token, Job.lease_owner, Job.lease_expires_at)
    return [
        Held(Lease(job_id, token), owner, expired=expires_at is None or expires_at < moment)
        for job_id, token, owner, expires_at in session.execute(statement.where(Job.status == JobStatus.RUNNING))
    ]


def reclaim(session: Session, lease: Lease, *, reason: str, max_attempts: int) -> None:
    """Take a job from a worker that is gone: queue it again, or end it where that was asked or has no sense any more.

    Raises:
        LeaseLost: someone else was faster.
    """
    job = _held(session, lease)
    if job.cancel_requested:
        mark_cancelled(session, job)
    elif job.attempts >= max_attempts:
        detail = (
            f"The job was started {job.attempts} times and ended each time without a result, last in the stage "
            f"{job.stage or STAGES[0]}: {reason} It is not started again by itself, because a job that ends its worker "
            "(for example for want of memory) would do so for ever. Look at the worker's log, then retry the job."
        )
        title = "The job was started too often"
        mark_failed(session, job, {"type": "too-many-attempts", "title": title, "detail": detail, "stage": job.stage})
    else:
        mark_queued(session, job)
        append_event(session, job.id, "retrying", {"reason": reason, "attempt": job.attempts + 1})


def _under_way(
    session: Session, stages: tuple[str, ...], but_for: Lease | None
) -> list[tuple[str | None, dict[str, Any]]]:
    """Jobs whose newest lease holds and has begun one of these stages: (stage, finished stages)."""
    statement = select(Job.id, Job.lease_token, Job.stage, Job.finished_stages).where(
        Job.status == JobStatus.RUNNING,
        Job.lease_expires_at >= database_now(session),
        Job.stage.in_(stages),
        Job.stage_started_at >= Job.started_at,  # else the stage is what an earlier lease left
    )
    return [
        (stage, finished)
        for job_id, token, stage, finished in session.execute(statement)
        if but_for is None or (job_id, token) != (but_for.job_id, but_for.token)
    ]


def _one_start_at_a_time(session: Session) -> None:
    """Let no stage begin elsewhere before this transaction ends, so that no two see each other too late.

    SQLite's transactions take turns anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(_STARTS_LOCK)))


def _ours(lease: Lease) -> tuple[Any, ...]:
    return (Job.id == lease.job_id, Job.lease_token == lease.token, Job.status == JobStatus.RUNNING)


def _write(session: Session, lease: Lease, **values: Any) -> None:
    """Change the job's row, if the lease still holds.

    Raises:
        LeaseLost: it does not; nothing was changed.
    """
    statement = update(Job).where(*_ours(lease)).values(**values).execution_options(synchronize_session=False)
    result = session.execute(statement)
    assert isinstance(result, CursorResult)  # noqa: S101 - what an UPDATE gives
    if result.rowcount != 1:
        raise LeaseLost(lease.job_id)


def _held(session: Session, lease: Lease) -> Job:
    """The job's row, locked by a conditional UPDATE that changes nothing, if the lease still holds."""
    _write(session, lease, lease_token=lease.token)
    return get(session, lease.job_id)


def _point_alias(session: Session, name: str, adapter: Adapter) -> None:
    """Point the alias at an adapter that became ready, unless a newer one that is ready has it already."""
    alias = session.get(Alias, name, with_for_update=True)
    if alias is None:
        session.add(Alias(name=name, adapter_id=adapter.id))
        return
    current = session.get(Adapter, alias.adapter_id)
    if current and current.status == AdapterStatus.READY and current.created_at > adapter.created_at:
        return
    alias.adapter_id = adapter.id
    alias.updated_at = now()


def _release_alias(session: Session, name: str, adapter: Adapter) -> None:
    """Forget the alias where it was only reserved for an adapter that does not get it."""
    session.execute(delete(Alias).where(Alias.name == name, Alias.adapter_id == adapter.id))
