"""The client of the API, on a service that comes and goes."""

import threading
from pathlib import Path

import pytest

from app.api_client import Event, IngrainClient, Refused, ServiceUnreachable
from app.database import unit_of_work
from app.jobs import leases
from app.settings import get_settings
from app.supervisor.plan import why_not_ready
from app.supervisor.ports import free_port
from tests.app.conftest import LIGHTHOUSE, serving, start
from tests.jobs import wait_until


def test_documents_are_posted_and_lists_are_read_over_pages(sqlite_database: str) -> None:
    with serving(get_settings()) as http, IngrainClient(str(http.base_url)) as client:
        made = [
            client.create_document(f"{LIGHTHOUSE} {number}".encode(), "a.md", settings={"effort": "quick"})
            for number in range(4)
        ]
        assert made[0]["document"]["title"] == "The lighthouse of Orvenna"
        newest_first = [taken["document"]["id"] for taken in reversed(made)]
        assert [row["id"] for row in client.list_all("/v1/documents", 3)] == newest_first[:3]
        assert client.base_model() == get_settings().base_model_name
        job_id = made[0]["job"]["id"]
        assert client.cancel(job_id)["status"] == "cancelled"
        assert client.retry(job_id)["status"] == "queued"


def test_a_problem_keeps_its_type_and_what_to_do(sqlite_database: str) -> None:
    with serving(get_settings()) as http, IngrainClient(str(http.base_url)) as client:
        with pytest.raises(Refused, match="does not exist") as caught:
            client.job("job_unknown")
        assert (caught.value.status, caught.value.type) == (404, "not-found")
        with pytest.raises(Refused, match="does not exist"):
            list(client.follow("job_unknown"))


def test_a_proxy_is_not_asked_for_this_machine(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(get_settings()) as http:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        with IngrainClient(str(http.base_url)) as client:
            assert client.base_model() == get_settings().base_model_name
        assert why_not_ready(f"{http.base_url}/healthz") is None


def test_where_nothing_answers_it_says_so() -> None:
    with IngrainClient(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServiceUnreachable, match="Nothing answers"):
            client.get("/v1/models")
        with pytest.raises(ServiceUnreachable):
            list(client.stream_chat("m", []))


def test_following_goes_on_where_it_was_after_the_service_went_away(sqlite_database: str, tmp_path: Path) -> None:
    seen: list[Event] = []
    port = free_port()
    with IngrainClient(f"http://127.0.0.1:{port}") as client:
        with serving(get_settings(), port):
            taken = client.create_document(LIGHTHOUSE.encode(), "a.md")
            job_id = taken["job"]["id"]
            follower = threading.Thread(target=lambda: seen.extend(client.follow(job_id)), daemon=True)
            follower.start()
            lease = start(job_id)
            with unit_of_work() as session:
                leases.start_stage(session, lease, "read")
            wait_until(lambda: client.get(f"/v1/jobs/{job_id}/events", after=2)["data"], "the stage has started")
        # Nobody answers now, and the job goes on.
        with unit_of_work() as session:
            leases.finish_stage(session, lease, "read", 1.5, {"passages": 3})
            leases.fail(session, lease, {"stage": "ask", "detail": "No question was good."})
        with serving(get_settings(), port):
            follower.join(20)
    assert not follower.is_alive()
    assert [event.type for event in seen] == ["queued", "started", "stage_started", "stage_finished", "failed"]
    assert [event.number for event in seen] == [1, 2, 3, 4, 5]
    assert seen[3].data["summary"] == {"passages": 3}
