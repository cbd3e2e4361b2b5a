"""Leases and their fencing token, on SQLite and PostgreSQL."""

import threading
from functools import partial
from typing import Any

import pytest
from sqlalchemy import delete

from app.adapters import queries as adapter_queries
from app.database import unit_of_work
from app.jobs import leases, queries
from app.jobs.floors import FailedFloor
from app.jobs.leases import Lease, LeaseLost
from app.models import STAGES, Adapter, AdapterStatus, Alias, JobStatus
from tests.jobs import add_job, event_types, events, get_job, get_report

ERROR = {"type": "stage-failed", "title": "A stage failed", "detail": "no", "stage": "ask"}


def take(job_id: str, seconds: float = 30, owner: str = "worker") -> Lease | None:
    with unit_of_work() as session:
        return leases.take(session, job_id, owner=owner, seconds=seconds, max_attempts=3)


def taken(job_id: str, seconds: float = 30) -> Lease:
    lease = take(job_id, seconds)
    assert lease is not None
    return lease


def test_of_many_workers_that_take_at_once_one_gets_the_job(database: str) -> None:
    for _ in range(5):
        job_id = add_job()
        start = threading.Barrier(6)
        got: list[Lease | None] = []

        def race(job_id: str = job_id, start: threading.Barrier = start, got: list[Lease | None] = got) -> None:
            start.wait()
            got.append(take(job_id))

        threads = [threading.Thread(target=race) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 6
        assert [lease for lease in got if lease] == [Lease(job_id, 1)]
        assert get_job(job_id).attempts == 1


def test_a_held_job_is_not_to_be_had_and_an_expired_one_is(database: str) -> None:
    job_id = add_job()
    first = taken(job_id)
    assert take(job_id) is None
    with unit_of_work() as session:
        leases.renew(session, first, -1)
    assert take(job_id) == Lease(job_id, 2)


@pytest.mark.parametrize(
    "write",
    [
        partial(leases.renew, seconds=30),
        leases.cancel_requested,
        partial(leases.start_stage, stage="ask"),
        partial(leases.start_generating, stage="ask"),
        partial(leases.record_progress, done=1, total=2),
        partial(leases.finish_stage, stage="ask", seconds=1.0, summary={}),
        partial(leases.forget_stages, first="ask"),
        partial(leases.succeed, base_revision=None, sha256="a" * 64, size_bytes=1, report={}),
        partial(leases.fail, error=ERROR),
        leases.cancel,
        leases.give_back,
        partial(leases.reclaim, reason="gone", max_attempts=3),
    ],
    ids=lambda write: getattr(write, "func", write).__name__,
)
def test_no_write_of_a_worker_that_lost_its_lease_changes_anything(database: str, write: Any) -> None:
    job_id = add_job()
    stale = taken(job_id, seconds=-1)
    taken(job_id)

    def state() -> tuple[Any, ...]:
        job = get_job(job_id)
        return job.status, job.stage, job.lease_token, job.finished_stages, job.adapter.status, events(job_id)

    before = state()
    with pytest.raises(LeaseLost), unit_of_work() as session:
        write(session, stale)
    assert state() == before


def test_a_lease_on_a_deleted_job_is_lost(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        session.execute(delete(Adapter))
    with pytest.raises(LeaseLost), unit_of_work() as session:
        leases.renew(session, lease, 30)


def test_the_heartbeat_tells_of_a_request_to_cancel(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        assert leases.renew(session, lease, 30) is False
        queries.request_cancel(session, lease.job_id)
        assert leases.renew(session, lease, 30) is True
        leases.cancel(session, lease)
    assert get_job(lease.job_id).status == JobStatus.CANCELLED


def test_success_makes_the_adapter_ready_and_points_the_alias_at_it(database: str) -> None:
    lease = taken(add_job(alias="handbook"))
    with unit_of_work() as session:
        leases.finish_stage(session, lease, "publish", 2.0, {})
        leases.succeed(session, lease, base_revision="b" * 40, sha256="a" * 64, size_bytes=7, report={"drift": 0.1})
    job = get_job(lease.job_id)
    assert (job.status, job.adapter.status, get_report(job.adapter.id), job.adapter.base_revision) == (
        JobStatus.SUCCEEDED,
        AdapterStatus.READY,
        {"drift": 0.1},
        "b" * 40,
    )
    with unit_of_work() as session:
        alias = session.get(Alias, "handbook")
        assert alias is not None
        assert alias.adapter_id == job.adapter_id
    assert event_types(lease.job_id)[-2:] == ["stage_finished", "succeeded"]


def test_success_is_one_transaction(database: str) -> None:
    lease = taken(add_job(alias="handbook"))

    def succeed_and_break_off() -> None:
        with unit_of_work() as session:
            leases.succeed(session, lease, base_revision="b" * 40, sha256="a" * 64, size_bytes=7, report=None)
            raise RuntimeError("the machine stopped here")

    with pytest.raises(RuntimeError):
        succeed_and_break_off()
    job = get_job(lease.job_id)
    assert (job.status, job.adapter.status, job.adapter.sha256) == (JobStatus.RUNNING, AdapterStatus.PENDING, None)
    with unit_of_work() as session:
        assert session.get(Alias, "handbook") is None


def test_an_older_adapter_that_is_ready_later_does_not_take_the_alias_back(database: str) -> None:
    older, newer = taken(add_job(alias="handbook")), taken(add_job(alias="handbook"))
    for lease in (newer, older):
        with unit_of_work() as session:
            leases.succeed(session, lease, base_revision="b" * 40, sha256="a" * 64, size_bytes=7, report=None)
    with unit_of_work() as session:
        alias = session.get(Alias, "handbook")
        assert alias is not None
        assert alias.adapter_id == queries.get(session, newer.job_id).adapter_id


def test_an_alias_moves_from_the_old_adapter_to_the_new_one(database: str) -> None:
    for _ in range(2):
        lease = taken(add_job(alias="handbook"))
        with unit_of_work() as session:
            leases.succeed(session, lease, base_revision="b" * 40, sha256="a" * 64, size_bytes=7, report=None)
    with unit_of_work() as session:
        alias = session.get(Alias, "handbook")
        assert alias is not None
        assert alias.adapter_id == queries.get(session, lease.job_id).adapter_id


@pytest.mark.parametrize("end", [AdapterStatus.FAILED, AdapterStatus.CANCELLED, AdapterStatus.PENDING])
def test_an_alias_that_was_reserved_for_nothing_is_taken_over(database: str, end: AdapterStatus) -> None:
    jobs = [add_job(alias="handbook") for _ in range(2)]
    with unit_of_work() as session:
        former, newer = (queries.get(session, job_id).adapter for job_id in jobs)
        former.status = end
        session.flush()
        for adapter in (former, newer):
            adapter_queries.reserve_alias(session, "handbook", adapter.id)
        expected = former.id if end == AdapterStatus.PENDING else newer.id
    assert behind("handbook") == expected


def succeed(lease: Lease, *failed_floors: FailedFloor) -> str:
    """The job's end; its adapter's id."""
    with unit_of_work() as session:
        leases.succeed(
            session,
            lease,
            base_revision="b" * 40,
            sha256="a" * 64,
            size_bytes=7,
            report=None,
            failed_floors=failed_floors,
        )
    return get_job(lease.job_id).adapter_id


def behind(alias: str) -> str | None:
    """The adapter that the alias points at."""
    with unit_of_work() as session:
        found = session.get(Alias, alias)
        return found.adapter_id if found else None


FORGETFUL = FailedFloor(floor="min_retention", wanted=0.9, found=0.5)


def test_a_degraded_adapter_is_ready_and_its_alias_stays_where_it_was(database: str) -> None:
    former = succeed(taken(add_job(alias="handbook")))
    lease = taken(add_job(alias="handbook"))
    degraded = succeed(lease, FORGETFUL)
    assert behind("handbook") == former
    adapter = get_job(lease.job_id).adapter
    assert (adapter.status, adapter.degraded, adapter.failed_floors) == (
        AdapterStatus.READY,
        True,
        [FORGETFUL.model_dump()],
    )
    *_, told, last = events(lease.job_id)
    assert told == (
        "degraded",
        {"adapter_id": degraded, "failed_floors": [FORGETFUL.model_dump()], "held_back": "handbook"},
    )
    assert last == ("succeeded", {"adapter_id": degraded})
    assert succeed(taken(add_job(alias="handbook"))) == behind("handbook"), "the next one that is not degraded"


def test_an_adapter_that_fails_no_floor_is_not_degraded(database: str) -> None:
    lease = taken(add_job(alias="handbook"))
    assert behind("handbook") is None
    assert succeed(lease) == behind("handbook")
    adapter = get_job(lease.job_id).adapter
    assert (adapter.degraded, adapter.failed_floors) == (False, None)
    assert "degraded" not in event_types(lease.job_id)


def test_a_degraded_adapter_gets_its_alias_where_that_was_asked_for(database: str) -> None:
    lease = taken(add_job(alias="handbook", alias_degraded=True))
    assert succeed(lease, FORGETFUL) == behind("handbook")
    assert get_job(lease.job_id).adapter.degraded
    assert dict(events(lease.job_id))["degraded"]["held_back"] is None


def test_a_reclaimed_job_waits_again_until_it_was_started_too_often(database: str) -> None:
    job_id = add_job()
    for attempt in (1, 2, 3):
        lease = taken(job_id)
        with unit_of_work() as session:
            leases.start_stage(session, lease, "distil")
            leases.reclaim(session, lease, reason="The worker was silent for too long.", max_attempts=3)
        assert get_job(job_id).attempts == attempt
    job = get_job(job_id)
    assert job.status == JobStatus.FAILED
    assert job.adapter.status == AdapterStatus.FAILED
    assert job.error is not None
    assert job.error["stage"] == "distil"
    assert "started 3 times" in job.error["detail"]
    assert "The worker was silent for too long." in job.error["detail"]
    assert take(job_id) is None


def test_a_reclaimed_job_that_was_to_be_cancelled_is_cancelled(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        queries.request_cancel(session, lease.job_id)
        leases.reclaim(session, lease, reason="gone", max_attempts=3)
    assert get_job(lease.job_id).status == JobStatus.CANCELLED


def test_a_job_given_back_does_not_count_as_an_attempt(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        leases.give_back(session, lease)
    job = get_job(lease.job_id)
    assert (job.status, job.attempts, job.lease_owner) == (JobStatus.QUEUED, 0, None)
    assert take(lease.job_id) == Lease(lease.job_id, 2)


def test_an_expired_lease_with_no_attempt_left_is_for_the_reaper(database: str) -> None:
    job_id = add_job()
    for _ in range(3):
        taken(job_id, seconds=-1)
    assert take(job_id) is None
    with unit_of_work() as session:
        [held] = leases.held_jobs(session)
        assert held.expired
        assert held.lease == Lease(job_id, 3)


def test_progress_goes_up_with_finished_stages_and_units(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        leases.start_stage(session, lease, "read")
        leases.finish_stage(session, lease, "read", 1.0, {})
        leases.start_stage(session, lease, "ask")
        for done in (5, 10):
            leases.record_progress(session, lease, done, 10)
    told = [data for type_, data in events(lease.job_id) if type_ == "progress"]
    assert [data["progress"] for data in told] == [0.11, 0.21]
    assert [(data["stage"], data["done"], data["total"]) for data in told] == [("ask", 5, 10), ("ask", 10, 10)]
    assert told[1]["eta_seconds"] > 0


def test_stages_whose_artefacts_are_gone_are_forgotten_with_those_after_them(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        for stage in ("read", "ask", "answer"):
            leases.finish_stage(session, lease, stage, 1.0, {})
        leases.forget_stages(session, lease, "ask")
    assert list(get_job(lease.job_id).finished_stages) == ["read"]


def test_the_adapter_of_a_failed_job_has_failed(database: str) -> None:
    lease = taken(add_job())
    with unit_of_work() as session:
        leases.fail(session, lease, ERROR)
    with unit_of_work() as session:
        job = queries.get(session, lease.job_id)
        adapter = session.get(Adapter, job.adapter_id)
        assert adapter is not None
        assert (job.status, job.error, adapter.status) == (JobStatus.FAILED, ERROR, AdapterStatus.FAILED)


def under_way(but_for: Lease | None = None) -> tuple[bool, bool]:
    with unit_of_work() as session:
        return leases.is_training(session, but_for=but_for), leases.is_generating(session, but_for=but_for)


def begin(lease: Lease, stage: str) -> None:
    with unit_of_work() as session:
        leases.start_stage(session, lease, stage)


def finish(lease: Lease, stage: str) -> None:
    with unit_of_work() as session:
        leases.finish_stage(session, lease, stage, 1.0, {})


def test_a_job_trains_from_the_beginning_of_distil_to_the_end_of_examine(database: str) -> None:
    lease = taken(add_job())
    told = []
    for stage in STAGES:
        begin(lease, stage)
        told.append((stage, *under_way()))
        finish(lease, stage)
        told.append((f"after {stage}", *under_way()))
    assert [when for when, training, _ in told if training] == ["distil", "after distil", "examine"]
    assert [when for when, _, generating in told if generating] == ["ask", "answer", "publish"]


def test_only_others_whose_lease_holds_and_that_began_the_stage_count(database: str) -> None:
    lease = taken(add_job())
    begin(lease, "distil")
    assert under_way(but_for=lease) == (False, False)
    assert under_way(but_for=Lease(lease.job_id, 7)) == (True, False), "another worker has the same job"
    with unit_of_work() as session:
        leases.renew(session, lease, -1)
    assert under_way() == (False, False)
    taken(lease.job_id)
    assert under_way() == (False, False), "distil is what the earlier lease left"


def test_of_jobs_that_train_and_generate_at_once_one_waits(database: str) -> None:
    """As one begins to train and another to generate, at least one of them sees the other."""
    for _ in range(8):
        training, generating = taken(add_job()), taken(add_job())
        start = threading.Barrier(2)
        began: list[bool] = []

        def generate(lease: Lease = generating, start: threading.Barrier = start, began: list[bool] = began) -> None:
            start.wait()
            with unit_of_work() as session:
                began.append(leases.start_generating(session, lease, "ask"))

        thread = threading.Thread(target=generate)
        thread.start()
        start.wait()
        begin(training, "distil")
        seen = under_way(but_for=training)[1]
        thread.join()
        assert began == [seen]
        for lease in (training, generating):
            with unit_of_work() as session:
                leases.cancel(session, lease)
