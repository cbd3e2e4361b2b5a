"""A worker that is killed in mid-training: started again, it goes on, and one adapter becomes ready."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.installation import Installation, running, wait_until
from tests.journeys.conftest import BASE_MODEL, TEXT, make_home
from tests.journeys.test_document_to_answer import wait_for_job


@pytest.fixture
def on_postgres(models: Path, postgres_database: str) -> Iterator[Installation]:
    """An installation whose database is PostgreSQL."""
    place = Installation(make_home(models), Path(BASE_MODEL), extra={"INGRAIN_DATABASE_URL": postgres_database})
    yield place
    left = place.processes()
    shutil.rmtree(place.home, ignore_errors=True)
    assert not left, f"left running: {left}"


@pytest.mark.timeout(1200)
def test_a_worker_killed_in_mid_training_still_ends_in_one_ready_adapter(on_postgres: Installation) -> None:
    with running(on_postgres):
        url = on_postgres.url
        settings = {"effort": "quick", "epochs": 3, "batch_size": 1}
        taken = httpx.post(f"{url}/v1/documents", json={"text": TEXT, "settings": settings}).json()
        job_id = taken["job"]["id"]
        scratch = on_postgres.home / "work" / job_id / "distil" / "scratch"

        def job() -> dict[str, Any]:
            found: dict[str, Any] = httpx.get(f"{url}/v1/jobs/{job_id}").json()
            assert found["status"] in {"queued", "running"}, found
            return found

        wait_until(lambda: job()["stage"] == "distil" and any(scratch.rglob("*.safetensors")), "a checkpoint", 300)
        worker = on_postgres.process_of("worker.main")
        stage = on_postgres.process_of("worker.stage_process")
        assert worker
        assert stage
        os.kill(worker, signal.SIGKILL)
        wait_until(lambda: stage not in on_postgres.processes(), "the stage's process ends with its worker", 10)

        ended = wait_for_job(url, job_id, 600)
        assert ended["status"] == "succeeded", ended["error"]
        assert ended["attempts"] == 2
        events = httpx.get(f"{url}/v1/jobs/{job_id}/events", headers={"Accept": "application/json"}).json()["data"]
        begun = [event["data"]["stage"] for event in events if event["type"] == "stage_started"]
        assert begun == ["read", "ask", "answer", "distil", "distil", "examine", "publish"], "finished stages stay"
        adapters = httpx.get(f"{url}/v1/adapters").json()["data"]
        assert [adapter["status"] for adapter in adapters] == ["ready"]
        log = (on_postgres.home / "work" / job_id / "distil.log").read_text()
        assert "goes on from its checkpoint" in log, "training went on from its checkpoint"
