"""Documents that replace each other, that are kept alone, and that are deleted: over HTTP, on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from app.adapters import queries as adapter_rows
from app.database import unit_of_work
from app.documents import queries
from app.models import Document
from app.settings import get_settings
from app.store import Store
from tests.app.conftest import LIGHTHOUSE, finish, post, serving, start
from tests.jobs import wait_until

NEWS = LIGHTHOUSE.replace("rapeseed oil", "paraffin")


def test_a_new_text_under_the_same_external_id_replaces_the_former_one(api: httpx.Client, tmp_path: Path) -> None:
    first = post(api, external_id="manual/1")
    finish(first, tmp_path)
    before = api.get(f"/v1/adapters/{first['adapter']['id']}").json()
    assert (before["is_stale"], before["stale_documents"]) == (False, [])
    second = post(api, text=NEWS, external_id="manual/1")
    old, new = (api.get(f"/v1/documents/{taken['document']['id']}").json() for taken in (first, second))
    assert (old["replaced_by"], new["replaced_by"]) == (new["id"], None)
    assert old["replaced_at"] is not None
    after = api.get(f"/v1/adapters/{first['adapter']['id']}").json()
    assert (after["is_stale"], after["stale_documents"]) == (True, [old["id"]])
    assert not api.get(f"/v1/adapters/{second['adapter']['id']}").json()["is_stale"]


def test_the_documents_of_an_external_id_are_found_the_current_one_first(api: httpx.Client) -> None:
    first = post(api, external_id="manual/1")["document"]["id"]
    post(api, external_id="manual/2", text=NEWS)
    post(api)
    second = post(api, external_id=" manual/1 ", text=NEWS)["document"]["id"]
    found = api.get("/v1/documents", params={"external_id": "manual/1"}).json()["data"]
    assert [(row["id"], row["external_id"], row["replaced_by"]) for row in found] == [
        (second, "manual/1", None),
        (first, "manual/1", second),
    ]
    assert api.get("/v1/documents", params={"external_id": "manual/3"}).json()["data"] == []
    assert api.get("/v1/documents", params={"external_id": "a\0b"}).status_code == 422


def test_the_current_document_is_the_first_though_another_is_newer(api: httpx.Client) -> None:
    texts = [f"{LIGHTHOUSE} Version {number}." for number in range(4)]
    ids = [post(api, text=text, external_id="manual/1")["document"]["id"] for text in texts]
    with unit_of_work() as session:  # as posts that met can leave it
        session.get_one(Document, ids[1]).replaced_by = None
        session.get_one(Document, ids[3]).replaced_by = ids[1]
    for limit in (1, 2, 3):
        found: list[str] = []
        cursor: str | None = None
        while cursor is not None or not found:
            params = {"external_id": "manual/1", "limit": limit} | ({"cursor": cursor} if cursor else {})
            page = api.get("/v1/documents", params=params).json()
            found += [row["id"] for row in page["data"]]
            cursor = page["next_cursor"]
        assert found == [ids[1], ids[3], ids[2], ids[0]]


def test_the_same_bytes_are_the_document_that_is_there(api: httpx.Client) -> None:
    first, again = (post(api, external_id="manual/1", metadata={"n": n}) for n in range(2))
    assert again["document"] == first["document"] | {"metadata": {"n": 1}}
    third = post(api, external_id="manual/1")
    assert third["document"] == again["document"], "no metadata came, so what is there stays"
    assert again["adapter"]["id"] != first["adapter"]["id"]
    assert api.get(f"/v1/adapters/{again['adapter']['id']}").json()["documents"][0]["id"] == first["document"]["id"]
    assert len(api.get("/v1/documents").json()["data"]) == 1
    kept = Path(get_settings().resolved_store_url.removeprefix("file://")) / "documents"
    assert [folder.name for folder in kept.iterdir()] == [first["document"]["id"]]
    retitled = post(api, external_id="manual/1", title="Another title")
    assert api.get(f"/v1/documents/{first['document']['id']}").json()["replaced_by"] == retitled["document"]["id"]


def test_of_many_posted_at_once_one_is_current(api: httpx.Client) -> None:
    def send(number: int) -> int:
        body = {"text": f"{LIGHTHOUSE} Version {number}.", "external_id": "manual/1"}
        return httpx.post(f"{api.base_url}/v1/documents", json=body, timeout=30).status_code

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(send, range(6))) == {202}
    rows = api.get("/v1/documents", params={"external_id": "manual/1"}).json()["data"]
    assert len(rows) == 6
    assert sum(row["replaced_by"] is None for row in rows) == 1
    assert len({row["replaced_by"] for row in rows}) == 6, "each was replaced by another one"


def test_a_file_has_the_fields_too(api_on_sqlite: httpx.Client) -> None:
    form = {"external_id": "manual/1", "make_adapter": "false"}
    answer = api_on_sqlite.post("/v1/documents", files={"file": ("a.txt", LIGHTHOUSE.encode())}, data=form)
    assert (answer.status_code, answer.json()["document"]["external_id"]) == (201, "manual/1")


def test_documents_are_kept_alone_for_one_adapter_of_them_all(api: httpx.Client) -> None:
    headers = {"Idempotency-Key": "k"}
    answers = [
        api.post("/v1/documents", json={"text": LIGHTHOUSE, "make_adapter": False}, headers=headers) for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    taken = answers[0].json()
    assert (taken["adapter"], taken["job"]) == (None, None)
    assert answers[0].headers["Location"] == f"/v1/documents/{taken['document']['id']}"
    assert api.get("/v1/jobs").json()["data"] == []
    other = api.post("/v1/documents", json={"text": NEWS, "make_adapter": False}).json()
    ids = [taken["document"]["id"], other["document"]["id"]]
    made = api.post("/v1/adapters", json={"document_ids": ids}).json()
    adapter = api.get(f"/v1/adapters/{made['adapter']['id']}").json()
    assert [document["id"] for document in adapter["documents"]] == ids


@pytest.mark.parametrize("more", [{"alias": "orvenna"}, {"parent": "orvenna"}, {"settings": {"rank": 8}}])
def test_what_is_for_an_adapter_is_refused_where_none_is_made(
    api_on_sqlite: httpx.Client, more: dict[str, Any]
) -> None:
    answer = api_on_sqlite.post("/v1/documents", json={"text": LIGHTHOUSE, "make_adapter": False, **more})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/invalid-input")
    assert next(iter(more)) in answer.json()["detail"]


def test_a_deleted_document_is_gone_with_its_bytes_and_text(api: httpx.Client) -> None:
    taken = api.post("/v1/documents", json={"text": LIGHTHOUSE, "make_adapter": False, "external_id": "m"}).json()
    document_id = taken["document"]["id"]
    store = Path(get_settings().resolved_store_url.removeprefix("file://"))
    assert {file.name for file in (store / "documents" / document_id).iterdir()} == {"original", "text.txt"}
    assert api.delete(f"/v1/documents/{document_id}").status_code == 204
    assert list((store / "documents").iterdir()) == []
    assert api.get(f"/v1/documents/{document_id}").status_code == 404
    assert api.delete(f"/v1/documents/{document_id}").status_code == 404
    assert post(api, external_id="m")["document"]["replaced_by"] is None


def test_a_document_that_adapters_know_goes_only_with_them(api: httpx.Client, tmp_path: Path) -> None:
    taken, other = post(api, alias="orvenna"), post(api)
    document_id, adapter_id = taken["document"]["id"], taken["adapter"]["id"]
    finish(taken, tmp_path)
    refused = api.delete(f"/v1/documents/{document_id}")
    assert (refused.status_code, refused.json()["type"]) == (409, "/problems/conflict")
    assert refused.json()["adapters"] == [{"id": adapter_id, "status": "ready"}]
    assert "?cascade=true" in refused.json()["detail"]
    assert api.get(f"/v1/adapters/{adapter_id}").status_code == 200
    assert api.delete(f"/v1/documents/{document_id}", params={"cascade": True}).status_code == 204
    for path in (f"documents/{document_id}", f"adapters/{adapter_id}", "aliases/orvenna", f"jobs/{taken['job']['id']}"):
        assert api.get(f"/v1/{path}").status_code == 404
    store = Store(get_settings().resolved_store_url)
    assert not store.is_whole(f"adapters/{adapter_id}")
    assert not store.is_whole(f"jobs/{taken['job']['id']}/answer")
    assert api.get(f"/v1/adapters/{other['adapter']['id']}").status_code == 200


@pytest.mark.parametrize("broken", ["documents/", "adapters/", "jobs/"])
def test_where_the_store_fails_the_same_request_finishes_the_deletion(
    api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    taken = post(api)
    finish(taken, tmp_path)
    document_id = taken["document"]["id"]
    url, store = f"/v1/documents/{document_id}", Path(get_settings().resolved_store_url.removeprefix("file://"))
    delete = Store.delete

    def fail(self: Store, path: str) -> None:
        if path.startswith(broken):
            raise OSError(5, "Input/output error", path)
        delete(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "delete", fail)
        answer = api.delete(url, params={"cascade": True})
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert "the same DELETE again" in answer.json()["detail"]
    assert (store / "documents" / document_id).exists() == (broken == "documents/"), "the bytes go first"
    assert api.get(url).status_code == 200
    assert api.delete(url, params={"cascade": True}).status_code == 204
    assert api.get(url).status_code == 404
    for folder in ("documents", "adapters", "jobs"):
        assert list((store / folder).iterdir()) == []


@pytest.fixture
def api_on_postgres(postgres_database: str) -> Iterator[httpx.Client]:
    """A client of the service on PostgreSQL, which alone locks rows one by one."""
    with serving(get_settings()) as client:
        yield client


def somebody_waits() -> bool:
    with unit_of_work() as session:  # a new one each time: a transaction sees the activity as it was at its beginning
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return bool(session.scalar(waiting))


def test_a_child_is_made_while_a_document_of_its_parent_is_being_replaced(
    api_on_postgres: httpx.Client, tmp_path: Path
) -> None:
    parent = post(api_on_postgres, external_id="manual/1")
    finish(parent, tmp_path)
    body = {"text": NEWS, "parent": parent["adapter"]["id"]}
    with unit_of_work() as session:
        assert queries.current(session, "manual/1") is not None
        answer = api_on_postgres.post("/v1/documents", json=body, timeout=10)  # it waits for nobody
    assert answer.status_code == 202


def test_a_child_waits_for_a_deletion_without_holding_what_that_needs(
    api_on_postgres: httpx.Client, tmp_path: Path
) -> None:
    parent = post(api_on_postgres)
    finish(parent, tmp_path)
    body = {"text": NEWS, "parent": parent["adapter"]["id"]}
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as session:
            assert queries.lock(session, parent["document"]["id"]) is not None
            child = pool.submit(httpx.post, f"{api_on_postgres.base_url}/v1/documents", json=body, timeout=30)
            wait_until(somebody_waits, "the child waits for the document")
            session.execute(text("SET LOCAL lock_timeout = '3s'"))
            assert adapter_rows.lock_job(session, parent["adapter"]["id"]) is not None
        assert child.result().status_code == 202


def test_a_document_that_is_being_learnt_is_not_deleted(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api)
    url = f"/v1/documents/{taken['document']['id']}"
    start(taken["job"]["id"])
    answer = api.delete(url, params={"cascade": True})
    assert (answer.status_code, answer.json()["job"]["status"]) == (409, "running")
    assert api.get(url).status_code == 200
