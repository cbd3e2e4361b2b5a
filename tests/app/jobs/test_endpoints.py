"""Jobs over HTTP, on both databases: followed, cancelled and retried while a worker's writes come in."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.database import unit_of_work
from app.jobs import leases
from tests.app.conftest import finish, post, start


def events(client: httpx.Client, job_id: str, **headers: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The server-sent events of a job until the stream ends: (id, event, data)."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    fields: dict[str, str] = {}
    with client.stream(
        "GET", f"/v1/jobs/{job_id}/events", headers={"Accept": "text/event-stream", **headers}
    ) as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            name, _, value = line.partition(": ")
            if name in {"id", "event", "data"}:
                fields[name] = value
            elif not line and fields:
                found.append((fields["id"], fields["event"], json.loads(fields["data"])))
                fields = {}
    return found


def test_a_running_job_tells_how_far_it_is(api: httpx.Client) -> None:
    job_id = post(api)["job"]["id"]
    lease = start(job_id)
    with unit_of_work() as session:
        leases.start_stage(session, lease, "read")
        leases.finish_stage(session, lease, "read", 2.0, {"passages": 7})
        leases.start_stage(session, lease, "ask")
        leases.record_progress(session, lease, 3, 6)
    job = api.get(f"/v1/jobs/{job_id}").json()
    assert (job["status"], job["stage"], job["done"], job["total"], job["attempts"]) == ("running", "ask", 3, 6, 1)
    assert (job["timings"], job["summaries"]) == ({"read": 2.0}, {"read": {"passages": 7}})
    assert job["progress"] == pytest.approx(0.11)
    assert job["eta_seconds"] > 0
    assert job["error"] is None


def test_a_failed_job_says_at_which_stage_and_why_and_can_be_retried(api: httpx.Client) -> None:
    taken = post(api, alias="a")
    job_id = taken["job"]["id"]
    error = {
        "stage": "ask",
        "type": "stage-failed",
        "title": "A stage of the job failed",
        "detail": "No question held.",
    }
    lease = start(job_id)
    with unit_of_work() as session:
        leases.fail(session, lease, error)
    assert api.get(f"/v1/jobs/{job_id}").json()["error"] == error
    chat = api.post("/v1/chat/completions", json={"model": "a", "messages": [{"role": "user", "content": "Hi"}]})
    assert chat.status_code == 409
    assert "No question held." in chat.json()["detail"]
    again = api.post(f"/v1/jobs/{job_id}/retry")
    assert (again.status_code, again.json()["status"], again.json()["error"]) == (202, "queued", None)
    assert api.post(f"/v1/jobs/{job_id}/retry").json()["type"] == "/problems/job-not-retryable"


def test_cancel_ends_a_waiting_job_at_once_and_asks_a_running_one(api: httpx.Client) -> None:
    waiting, running = post(api)["job"]["id"], post(api)["job"]["id"]
    start(running)
    assert api.post(f"/v1/jobs/{waiting}/cancel").json()["status"] == "cancelled"
    asked = api.post(f"/v1/jobs/{running}/cancel")
    assert (asked.status_code, asked.json()["status"], asked.json()["cancel_requested"]) == (202, "running", True)
    ended = api.post(f"/v1/jobs/{waiting}/cancel")
    assert (ended.status_code, ended.json()["type"]) == (409, "/problems/job-not-active")
    listed = api.get("/v1/jobs", params={"status": "cancelled"}).json()["data"]
    assert [job["id"] for job in listed] == [waiting]


def test_events_stream_until_the_job_ends(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api)
    job_id = taken["job"]["id"]

    def work() -> None:
        time.sleep(0.7)
        finish(taken, tmp_path)

    worker = threading.Thread(target=work)
    worker.start()
    seen = events(api, job_id)
    worker.join()
    assert [number for number, _, _ in seen] == [str(n) for n in range(1, len(seen) + 1)]
    assert [kind for _, kind, _ in seen][:3] == ["queued", "started", "stage_started"]
    assert seen[-1][1] == "succeeded"
    assert seen[-1][2]["data"] == {"adapter_id": taken["adapter"]["id"]}
    rest = events(api, job_id, **{"Last-Event-ID": str(len(seen) - 2)})
    assert rest == seen[-2:]
    assert events(api, job_id, **{"Last-Event-ID": str(len(seen))}) == []


def test_events_come_as_json_pages_too(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api)
    finish(taken, tmp_path)
    url = f"/v1/jobs/{taken['job']['id']}/events"
    whole = api.get(url).json()
    assert whole["next_cursor"] is None
    first = api.get(url, params={"limit": 4}).json()
    second = api.get(url, params={"limit": 500, "cursor": first["next_cursor"]}).json()
    assert first["data"] + second["data"] == whole["data"]
    assert api.get(url, params={"after": 4}).json()["data"] == second["data"]


@pytest.mark.parametrize("call", ["", "/events", "/cancel", "/retry"])
@pytest.mark.parametrize("job_id", ["job_01k00000000000000000000000", "job_%00", "adp_01k00000000000000000000000"])
def test_an_unknown_job_is_a_404(api: httpx.Client, call: str, job_id: str) -> None:
    method = "POST" if call in {"/cancel", "/retry"} else "GET"
    answer = api.request(method, f"/v1/jobs/{job_id}{call}", headers={"Accept": "text/event-stream"})
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/not-found")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"status": "lost"}, "status"),
        ({"cursor": "x"}, "cursor"),
    ],
)
def test_bad_queries_name_the_field(api_on_sqlite: httpx.Client, query: dict[str, Any], field: str) -> None:
    answer = api_on_sqlite.get("/v1/jobs", params=query)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
