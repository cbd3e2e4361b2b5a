"""The runner: real databases, real processes, small stages."""

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.database import unit_of_work
from app.jobs import leases, queries
from app.models import STAGES, AdapterStatus, Alias, Job, JobStatus
from app.settings import get_settings
from app.store import get_store
from tests.jobs import TEXT, add_job, event_types, events, get_job, get_report, wait_until
from tests.worker.conftest import is_running, small
from worker.base_model import resolve_base_model
from worker.runner import Runner

OF_EVERY_FOLDER = {"manifest.json", "stage.json"}


def fingerprint_of(model: Path) -> str:
    return resolve_base_model(str(model), model.parent).revision


def make_runner(**stages: str) -> Runner:
    return Runner(get_settings(), small(**stages), retry_pause_seconds=0.01)


def run(job_id: str, **stages: str) -> Job:
    make_runner(**stages).run(job_id)
    return get_job(job_id)


@contextmanager
def running(job_id: str, **stages: str) -> Iterator[tuple[Runner, threading.Thread, list[int]]]:
    """A runner at work in a thread, and the processes of its slow stage, when that has begun."""
    runner = make_runner(**stages)
    thread = threading.Thread(target=runner.run, args=(job_id,))
    thread.start()
    pids = get_settings().home / "pids"
    try:
        wait_until(lambda: pids.exists() or not thread.is_alive(), "the slow stage has begun")
        yield runner, thread, json.loads(pids.read_text())
    finally:
        runner.stop()
        thread.join()
        pids.unlink(missing_ok=True)


def all_gone(pids: list[int]) -> bool:
    return not any(is_running(pid) for pid in pids)


def retry(job_id: str) -> None:
    with unit_of_work() as session:
        queries.retry(session, job_id)


def test_a_job_runs_from_queued_to_a_ready_adapter(small_home: Path, database: str) -> None:
    job_id = add_job(alias="lighthouse")
    job = run(job_id)
    assert (job.status, job.error, job.lease_owner) == (JobStatus.SUCCEEDED, None, None)
    assert list(job.finished_stages) == list(STAGES)
    assert [finished["summary"]["heavy"] for finished in job.finished_stages.values()] == [[]] * 6, "imports"
    adapter, store = job.adapter, get_store()
    weights = store.read_bytes(f"adapters/{adapter.id}/adapter_model.safetensors")
    assert adapter.status == AdapterStatus.READY
    assert adapter.base_revision == fingerprint_of(small_home / "small-model")
    assert adapter.sha256 == hashlib.sha256(weights).hexdigest()
    assert adapter.size_bytes == len(weights) + 2
    assert get_report(adapter.id) == {"recall": {"adapter": {"right": 3, "of": 4}}}
    assert set(store.manifest(f"adapters/{adapter.id}")["files"]) == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    with unit_of_work() as session:
        alias = session.get(Alias, "lighthouse")
        assert alias is not None
        assert alias.adapter_id == adapter.id
    types = event_types(job_id)
    assert types[:3] == ["queued", "started", "stage_started"]
    assert types[-2:] == ["stage_finished", "succeeded"]
    assert [data["stage"] for type_, data in events(job_id) if type_ == "stage_finished"] == list(STAGES)
    last_told = {data["stage"]: (data["done"], data["total"]) for type_, data in events(job_id) if type_ == "progress"}
    assert last_told == dict.fromkeys(STAGES, (3, 3))


def test_each_stage_gets_the_document_and_what_is_finished_in_a_process_of_its_own(
    small_home: Path, sqlite_database: str
) -> None:
    job_id = add_job()
    run(job_id)
    left = {stage: json.loads(get_store().read_bytes(f"jobs/{job_id}/{stage}/{stage}.json")) for stage in STAGES[:4]}
    assert [file for file in left["distil"]["seen"] if Path(file).name not in OF_EVERY_FOLDER] == [
        "answer/answer.json",
        "ask/ask.json",
        "read/read.json",
    ]
    assert {stage["text"] for stage in left.values()} == {TEXT}
    assert len({stage["pid"] for stage in left.values()}) == 4
    work = get_settings().work_folder / job_id
    assert {file.name for file in work.iterdir()} == {f"{stage}.log" for stage in STAGES}
    assert "a library's print" in (work / "read.log").read_text()


def test_an_adapter_below_a_floor_of_its_job_is_degraded(small_home: Path, sqlite_database: str) -> None:
    reached, missed = add_job(alias="a", min_recall=0.75), add_job(alias="b", min_recall=0.76)
    assert [run(job_id).status for job_id in (reached, missed)] == [JobStatus.SUCCEEDED] * 2
    assert get_job(reached).adapter.failed_floors is None
    assert get_job(missed).adapter.failed_floors == [{"floor": "min_recall", "of": None, "wanted": 0.76, "found": 0.75}]
    with unit_of_work() as session:
        assert session.get(Alias, "a") is not None
        assert session.get(Alias, "b") is None


def test_a_floor_that_the_job_named_and_nobody_could_measure_degrades_its_adapter(
    small_home: Path, sqlite_database: str
) -> None:
    unmeasured, default = add_job(min_retention=0.5), add_job()
    assert [run(job_id).status for job_id in (unmeasured, default)] == [JobStatus.SUCCEEDED] * 2
    assert get_job(default).adapter.failed_floors is None
    assert get_job(unmeasured).adapter.failed_floors == [
        {"floor": "min_retention", "of": None, "wanted": 0.5, "found": None}
    ]


def test_a_stage_that_fails_says_why_and_a_retry_goes_on_after_the_finished_ones(
    small_home: Path, sqlite_database: str
) -> None:
    job_id = add_job()
    job = run(job_id, answer="refuses")
    assert job.status == JobStatus.FAILED
    assert job.adapter.status == AdapterStatus.FAILED
    assert job.error == {
        "type": "stage-failed",
        "title": "A stage of the job failed",
        "detail": "No question could be kept: the document says nothing. Post a longer one.",
        "stage": "answer",
    }
    assert list(job.finished_stages) == ["read", "ask"]
    assert get_store().is_whole(f"jobs/{job_id}/ask")
    assert not get_store().is_whole(f"jobs/{job_id}/answer")
    retry(job_id)
    job = run(job_id)
    assert (job.status, job.error) == (JobStatus.SUCCEEDED, None)
    begun = [data["stage"] for type_, data in events(job_id) if type_ == "stage_started"]
    assert begun == ["read", "ask", "answer", "answer", "distil", "examine", "publish"]


def test_an_unknown_error_goes_to_the_log_and_not_to_the_user(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    job = run(job_id, distil="breaks")
    assert job.error is not None
    assert job.error["stage"] == "distil"
    assert f"work/{job_id}/distil.log" in job.error["detail"]
    assert "secret" not in str(job.error)
    log = (get_settings().work_folder / job_id / "distil.log").read_text()
    assert "Traceback" in log
    assert "a secret of the implementation" in log


def test_a_process_that_was_killed_is_tried_again(
    small_home: Path, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRASHES", "1")
    job_id = add_job()
    assert run(job_id, distil="crashes").status == JobStatus.QUEUED
    assert run(job_id, distil="crashes").status == JobStatus.SUCCEEDED
    reasons = [data["reason"] for type_, data in events(job_id) if type_ == "retrying"]
    assert reasons == [
        "The process of the stage distil was killed by the signal SIGKILL, as the system does when memory runs out."
    ]


def test_a_process_that_is_killed_each_time_ends_the_job_with_the_reason(
    small_home: Path, sqlite_database: str
) -> None:
    job_id = add_job()
    for _ in range(get_settings().max_attempts):
        job = run(job_id, answer="crashes")
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["type"] == "too-many-attempts"
    assert job.error["stage"] == "answer"
    assert "started 3 times" in job.error["detail"]
    assert "SIGKILL" in job.error["detail"]
    assert list(job.finished_stages) == ["read", "ask"]


def test_an_engine_that_is_away_is_worth_another_attempt(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    assert run(job_id, ask="unlucky").status == JobStatus.QUEUED
    assert run(job_id, ask="unlucky").status == JobStatus.SUCCEEDED


def test_cancel_ends_the_process_and_its_children_and_keeps_what_is_finished(small_home: Path, database: str) -> None:
    job_id = add_job()
    with running(job_id, distil="slow") as (_, thread, pids):
        with unit_of_work() as session:
            queries.request_cancel(session, job_id)
        wait_until(lambda: all_gone(pids), "the stage's processes are gone", seconds=2.5)
        thread.join(timeout=5)
        assert not thread.is_alive()
    job = get_job(job_id)
    assert (job.status, job.adapter.status) == (JobStatus.CANCELLED, AdapterStatus.CANCELLED)
    assert [type_ for type_ in event_types(job_id) if type_ != "progress"][-2:] == ["cancel_requested", "cancelled"]
    assert list(job.finished_stages) == ["read", "ask", "answer"]
    retry(job_id)
    assert run(job_id).status == JobStatus.SUCCEEDED


def test_cancel_ends_a_process_that_does_not_listen(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    with running(job_id, read="stubborn") as (_, thread, pids):
        with unit_of_work() as session:
            queries.request_cancel(session, job_id)
        thread.join(timeout=8)
        assert not thread.is_alive()
        wait_until(lambda: all_gone(pids), "the stage's processes are gone", seconds=1)
    assert get_job(job_id).status == JobStatus.CANCELLED


def test_a_worker_that_shuts_down_gives_its_job_back_uncounted(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    with running(job_id, distil="slow") as (runner, thread, pids):
        runner.stop()
        thread.join(timeout=6)
        assert not thread.is_alive()
        wait_until(lambda: all_gone(pids), "the stage's processes are gone", seconds=1)
    job = get_job(job_id)
    assert (job.status, job.attempts, job.lease_owner) == (JobStatus.QUEUED, 0, None)
    (small_home / "go").touch()
    job = run(job_id, distil="slow")
    assert job.status == JobStatus.SUCCEEDED
    assert job.finished_stages["distil"]["summary"]["starts"] == 2, "its scratch was kept"


def test_a_runner_that_lost_its_lease_stops_the_stage_and_writes_nothing_more(small_home: Path, database: str) -> None:
    job_id = add_job()
    with running(job_id, distil="slow") as (_, thread, pids):
        with unit_of_work() as session:
            [held] = leases.held_jobs(session)
            leases.renew(session, held.lease, -1)
            other = leases.take(session, job_id, owner="other", seconds=60, max_attempts=3)
        assert other is not None
        before = events(job_id)
        wait_until(lambda: all_gone(pids), "the stage's processes are gone", seconds=6)
        thread.join(timeout=5)
        assert not thread.is_alive()
    assert events(job_id) == before
    job = get_job(job_id)
    assert (job.status, job.lease_owner, job.lease_token) == (JobStatus.RUNNING, "other", 2)
    assert not get_store().is_whole(f"jobs/{job_id}/distil")


def test_a_deleted_job_stops_its_stage(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    with running(job_id, distil="slow") as (_, thread, pids):
        with unit_of_work() as session:
            session.delete(queries.get(session, job_id))
        wait_until(lambda: all_gone(pids), "the stage's processes are gone", seconds=6)
        thread.join(timeout=5)
        assert not thread.is_alive()


def test_a_job_that_is_held_elsewhere_or_has_ended_is_left_alone(small_home: Path, database: str) -> None:
    held, ended = add_job(), add_job()
    with unit_of_work() as session:
        leases.take(session, held, owner="other", seconds=60, max_attempts=3)
        queries.request_cancel(session, ended)
    for job_id in (held, ended, "job_unknown"):
        before = events(job_id)
        make_runner().run(job_id)
        assert events(job_id) == before


def test_a_stage_that_was_published_but_not_recorded_is_not_done_again(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    run(job_id, ask="refuses")
    kept = get_store().read_bytes(f"jobs/{job_id}/read/read.json")
    with unit_of_work() as session:
        queries.get(session, job_id).finished_stages = {}  # as if the worker was killed between the two
    retry(job_id)
    job = run(job_id)
    assert job.status == JobStatus.SUCCEEDED
    assert list(job.finished_stages) == list(STAGES)
    assert get_store().read_bytes(f"jobs/{job_id}/read/read.json") == kept


def test_a_stage_whose_artefacts_are_gone_is_done_again_with_those_after_it(
    small_home: Path, sqlite_database: str
) -> None:
    job_id = add_job()
    run(job_id, distil="refuses")
    get_store().delete(f"jobs/{job_id}/ask")
    retry(job_id)
    job = run(job_id)
    assert job.status == JobStatus.SUCCEEDED
    assert list(job.finished_stages) == list(STAGES)
    begun = [data["stage"] for type_, data in events(job_id) if type_ == "stage_started"]
    assert begun[4:] == ["ask", "answer", "distil", "examine", "publish"]


def test_an_adapter_for_another_base_model_is_refused_with_the_way_out(
    small_home: Path, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = add_job()
    shutil.copytree(small_home / "small-model", small_home / "other-model")
    monkeypatch.setenv("INGRAIN_BASE_MODEL", str(small_home / "other-model"))
    get_settings.cache_clear()
    job = run(job_id)
    assert job.status == JobStatus.FAILED
    assert job.error is not None
    assert job.error["type"] == "configuration"
    assert "small-model" in job.error["detail"]
    assert "INGRAIN_BASE_MODEL" in job.error["detail"]


def test_a_base_model_that_does_not_exist_fails_the_job_with_the_reason(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    shutil.rmtree(small_home / "small-model")
    job = run(job_id)
    assert job.error is not None
    assert job.error["type"] == "configuration"
    assert "small-model" in job.error["detail"]


def test_a_job_goes_on_with_the_revision_that_it_began_with_alone(small_home: Path, sqlite_database: str) -> None:
    job_id, model = add_job(), small_home / "small-model"
    run(job_id, distil="refuses")
    first, weights = fingerprint_of(model), (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(b"other weights")
    retry(job_id)
    job = run(job_id)
    assert (job.status, list(job.finished_stages)) == (JobStatus.FAILED, ["read", "ask", "answer"])
    assert job.error is not None
    assert (job.error["type"], job.error["stage"]) == ("configuration", "distil")
    assert first in job.error["detail"]
    assert fingerprint_of(model) in job.error["detail"]
    (model / "model.safetensors").write_bytes(weights)
    retry(job_id)
    job = run(job_id)
    assert (job.status, job.adapter.base_revision) == (JobStatus.SUCCEEDED, first)


def test_a_base_model_of_another_revision_than_asked_for_fails_the_job(
    small_home: Path, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INGRAIN_BASE_MODEL_REVISION", "sha256:other")
    get_settings.cache_clear()
    job = run(add_job())
    assert job.error is not None
    assert (job.error["type"], job.error["stage"]) == ("configuration", "read")
    assert "sha256:other" in job.error["detail"]
    assert fingerprint_of(small_home / "small-model") in job.error["detail"]


def test_progress_is_written_at_most_twice_a_second(small_home: Path, sqlite_database: str) -> None:
    job_id = add_job()
    with running(job_id, distil="slow") as (_, thread, _):
        wait_until(lambda: get_job(job_id).done >= 30, "some progress")
        (small_home / "go").touch()
        thread.join(timeout=20)
    job = get_job(job_id)
    assert job.status == JobStatus.SUCCEEDED
    told = [data for type_, data in events(job_id) if type_ == "progress" and data["stage"] == "distil"]
    assert 2 <= len(told) <= 2 * job.finished_stages["distil"]["seconds"] + 3
    assert [data["done"] for data in told[:-1]] == sorted(data["done"] for data in told[:-1])
