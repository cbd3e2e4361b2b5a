"""What every request gets, whatever it asks for."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from app.models import Base
from app.requests import MAX_BODY_BYTES
from app.settings import get_settings
from tests.app.conftest import serving


def test_every_answer_has_a_request_id(api_on_sqlite: httpx.Client) -> None:
    first, second = (api_on_sqlite.get(path).headers["X-Request-ID"] for path in ("/healthz", "/nowhere"))
    assert first != second
    given = api_on_sqlite.get("/healthz", headers={"X-Request-ID": "mine-1"})
    assert given.headers["X-Request-ID"] == "mine-1"
    forged = api_on_sqlite.get("/healthz", headers={"X-Request-ID": "a b\tc"})
    assert forged.headers["X-Request-ID"] != "a b\tc"


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1", 404, "not-found"),
        ("PATCH", "/v1/documents", 405, "method-not-allowed"),
    ],
)
def test_routing_answers_with_problems(
    api_on_sqlite: httpx.Client, method: str, path: str, status: int, kind: str
) -> None:
    answer = api_on_sqlite.request(method, path)
    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["type"], problem["instance"]) == (status, f"/problems/{kind}", path)


def test_what_nobody_expected_is_a_500_without_a_trace_but_with_one_in_the_log(
    api_on_sqlite: httpx.Client, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "store").write_text("a file where the store's folder should be")
    answer = api_on_sqlite.post("/v1/documents", json={"text": "one two three four five"})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (500, "/problems/internal")
    assert answer.headers["X-Request-ID"] == problem["request_id"]
    assert "Traceback" not in answer.text
    assert str(home) not in answer.text
    logged = [record for record in caplog.records if record.name == "app.requests"]
    assert len(logged) == 1
    assert (logged[0].levelno, problem["request_id"] in logged[0].getMessage()) == (logging.ERROR, True)
    assert logged[0].exc_info
    assert api_on_sqlite.get("/v1/documents").json()["data"] == []


def test_a_database_that_fails_is_a_503(api_on_sqlite: httpx.Client, sqlite_database: str) -> None:
    engine = create_engine(sqlite_database)
    Base.metadata.drop_all(engine)
    engine.dispose()
    answer = api_on_sqlite.get("/v1/documents")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert answer.headers["Retry-After"] == "5"
    assert "sqlite" not in answer.text.lower()
    assert api_on_sqlite.get("/healthz").status_code == 200
    assert "ok" not in api_on_sqlite.get("/readyz").json()["checks"]["database"]


@pytest.mark.parametrize("path", ["/v1/adapters", "/v1/chat/completions"])
def test_a_body_that_is_not_json_is_a_415(api_on_sqlite: httpx.Client, path: str) -> None:
    answer = api_on_sqlite.post(path, content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["type"]) == (415, "/problems/unsupported-media-type")
    assert "application/json, not text/plain" in answer.json()["detail"]
    empty = api_on_sqlite.post(path)
    assert empty.status_code == (422 if path == "/v1/adapters" else 400)
    assert "has no body" in empty.json()["detail"]


@pytest.mark.parametrize("declared", [True, False], ids=["with Content-Length", "chunked"])
@pytest.mark.parametrize("path", ["/v1/adapters", "/v1/chat/completions"])
def test_other_bodies_are_bounded_too(api_on_sqlite: httpx.Client, path: str, declared: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * (MAX_BODY_BYTES // 16)

    headers = {"Content-Type": "application/json"}
    if declared:
        headers["Content-Length"] = str(20 * (MAX_BODY_BYTES // 16))
    answer = api_on_sqlite.post(path, content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/request-too-large")


def test_the_schema_and_the_pages_for_people_are_served(api_on_sqlite: httpx.Client) -> None:
    assert api_on_sqlite.get("/openapi.json").json()["info"]["title"] == "Ingrain"
    assert "openapi.json" in api_on_sqlite.get("/docs").text


def test_commits_are_there_before_the_answer(sqlite_database: str, home: Path) -> None:
    """A client that reads its own write never misses it: cancel, then look with a connection of one's own."""
    with serving(get_settings()) as client:
        engine = create_engine(sqlite_database)
        for _ in range(20):
            answer = client.post("/v1/documents", json={"text": "one two three four five"})
            job_id = answer.json()["job"]["id"]
            client.post(f"/v1/jobs/{job_id}/cancel")
            with engine.connect() as connection:
                row = connection.execute(text("SELECT status FROM jobs WHERE id = :id"), {"id": job_id})
                assert row.scalar_one() == "cancelled"
        engine.dispose()
