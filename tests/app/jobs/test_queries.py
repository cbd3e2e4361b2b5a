"""The SQL of jobs, on SQLite and PostgreSQL."""

import threading

import pytest
from sqlalchemy import delete, select

from app.database import unit_of_work
from app.errors import JobNotActive, JobNotRetryable, NotFound
from app.jobs import leases, queries
from app.models import Adapter, AdapterStatus, JobEvent, JobStatus
from tests.jobs import add_job, event_types


def test_a_new_job_waits_with_its_event_and_its_wakeup(database: str) -> None:
    job_id = add_job()
    with unit_of_work() as session:
        job = queries.get(session, job_id)
        assert (job.status, job.attempts, job.finished_stages) == (JobStatus.QUEUED, 0, {})
        assert [wakeup for _, wakeup in queries.pending_wakeups(session)] == [job_id]
    assert event_types(job_id) == ["queued"]


def test_a_job_and_its_wakeup_are_written_together_or_not_at_all(database: str) -> None:
    def create_and_break_off() -> None:
        with unit_of_work() as session:
            session.add(Adapter(id="adp_lost", base_model="m", settings={}, user_metadata={}))
            session.flush()
            queries.create(session, "adp_lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        create_and_break_off()
    with unit_of_work() as session:
        assert queries.list_page(session, limit=10) == []
        assert queries.pending_wakeups(session) == []


def test_pages_are_newest_first_and_can_be_filtered(database: str) -> None:
    ids = [add_job() for _ in range(5)]
    with unit_of_work() as session:
        queries.request_cancel(session, ids[0])
        first = [job.id for job in queries.list_page(session, limit=2)]
        rest = [job.id for job in queries.list_page(session, limit=10, cursor=first[-1])]
        cancelled = [job.id for job in queries.list_page(session, limit=10, status=JobStatus.CANCELLED)]
        counts = queries.count_by_status(session)
    assert first + rest == sorted(ids, reverse=True)
    assert cancelled == [ids[0]]
    assert counts == {"queued": 4, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 1}


def test_an_unknown_job_is_not_found(database: str) -> None:
    with unit_of_work() as session:
        for call in (queries.get, queries.request_cancel, queries.retry):
            with pytest.raises(NotFound, match="job_nope"):
                call(session, "job_nope")


def test_a_waiting_job_is_cancelled_at_once_and_cannot_be_cancelled_twice(database: str) -> None:
    job_id = add_job()
    with unit_of_work() as session:
        job = queries.request_cancel(session, job_id)
        assert (job.status, job.adapter.status) == (JobStatus.CANCELLED, AdapterStatus.CANCELLED)
    with pytest.raises(JobNotActive), unit_of_work() as session:
        queries.request_cancel(session, job_id)
    with unit_of_work() as session:
        assert leases.take(session, job_id, owner="w", seconds=30, max_attempts=3) is None
    assert event_types(job_id) == ["queued", "cancelled"]


def test_a_running_job_is_asked_to_stop_once(database: str) -> None:
    job_id = add_job()
    with unit_of_work() as session:
        leases.take(session, job_id, owner="w", seconds=30, max_attempts=3)
    for _ in range(2):
        with unit_of_work() as session:
            job = queries.request_cancel(session, job_id)
            assert (job.status, job.cancel_requested) == (JobStatus.RUNNING, True)
    assert event_types(job_id) == ["queued", "started", "cancel_requested"]


def test_a_job_whose_worker_is_silent_is_cancelled_without_it(database: str) -> None:
    job_id = add_job()
    with unit_of_work() as session:
        lease = leases.take(session, job_id, owner="w", seconds=-1, max_attempts=3)
    with unit_of_work() as session:
        assert queries.request_cancel(session, job_id).status == JobStatus.CANCELLED
    assert lease is not None
    with pytest.raises(leases.LeaseLost), unit_of_work() as session:
        leases.renew(session, lease, 30)


def test_retry_keeps_what_is_finished_and_is_refused_while_the_job_is_active(database: str) -> None:
    job_id = add_job()
    with pytest.raises(JobNotRetryable), unit_of_work() as session:
        queries.retry(session, job_id)
    with unit_of_work() as session:
        lease = leases.take(session, job_id, owner="w", seconds=30, max_attempts=3)
        assert lease is not None
        leases.finish_stage(session, lease, "read", 1.5, {"passages": 3})
        leases.fail(session, lease, {"type": "stage-failed", "detail": "no"})
        for entry_id, _ in queries.pending_wakeups(session):
            queries.delete_wakeup(session, entry_id)
    with unit_of_work() as session:
        job = queries.retry(session, job_id)
        assert (job.status, job.attempts, job.error) == (JobStatus.QUEUED, 0, None)
        assert job.adapter.status == AdapterStatus.PENDING
        assert job.finished_stages == {"read": {"seconds": 1.5, "summary": {"passages": 3}}}
        assert [wakeup for _, wakeup in queries.pending_wakeups(session)] == [job_id]


def test_events_are_numbered_without_gaps_by_writers_at_once(database: str) -> None:
    job_id = add_job()

    def write() -> None:
        for _ in range(10):
            with unit_of_work() as session:
                queries.append_event(session, job_id, "progress", {"done": 1})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with unit_of_work() as session:
        assert [event.number for event in queries.events_after(session, job_id, 0)] == list(range(1, 42))
        assert [event.number for event in queries.events_after(session, job_id, 39)] == [40, 41]


def test_one_wakeup_waits_for_each_job(database: str) -> None:
    job_id = add_job()
    with unit_of_work() as session:
        queries.add_wakeup(session, job_id)
        assert queries.jobs_without_wakeup(session) == set()
        [(entry_id, _)] = queries.pending_wakeups(session)
        queries.delete_wakeup(session, entry_id)
        assert queries.jobs_without_wakeup(session) == {job_id}


def test_deleting_an_adapter_takes_its_job_and_events_along(database: str) -> None:
    add_job()
    with unit_of_work() as session:
        session.execute(delete(Adapter))
    with unit_of_work() as session:
        assert session.scalars(select(JobEvent)).all() == []
