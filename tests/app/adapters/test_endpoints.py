"""Adapters and aliases over HTTP, on both databases."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event

from app.ids import new_id
from app.jobs.floors import FailedFloor
from app.settings import get_settings
from app.store import Store
from tests.app.conftest import LIGHTHOUSE, REVISION, finish, post, serving, start


def test_one_adapter_from_several_documents(api: httpx.Client) -> None:
    documents = [post(api)["document"]["id"] for _ in range(2)]
    body = {"document_ids": [*documents, documents[0]], "alias": "both", "settings": {"effort": "thorough"}}
    first, second = (api.post("/v1/adapters", json=body, headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, first.text) == (202, second.text)
    assert second.headers["Idempotency-Replayed"] == "true"
    adapter = api.get(f"/v1/adapters/{first.json()['adapter']['id']}").json()
    assert [document["id"] for document in adapter["documents"]] == documents
    assert adapter["job"]["id"] == first.headers["Location"].rsplit("/", 1)[1]
    assert (adapter["settings"]["effort"], adapter["settings"]["rank"], adapter["status"]) == (
        "thorough",
        64,
        "pending",
    )


def test_a_rank_that_was_not_chosen_gives_way(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, home: Path
) -> None:
    monkeypatch.setenv("INGRAIN_MAX_LORA_RANK", "16")
    api: httpx.Client = request.getfixturevalue("api_on_sqlite")
    taken = post(api, settings={"effort": "thorough"})
    assert api.get(f"/v1/adapters/{taken['adapter']['id']}").json()["settings"]["rank"] == 16


def test_a_ready_adapter_shows_all_it_is(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api, alias="orvenna")
    adapter_id = taken["adapter"]["id"]
    finish(taken, tmp_path)
    adapter = api.get(f"/v1/adapters/{adapter_id}").json()
    assert (adapter["status"], adapter["aliases"], adapter["size_bytes"]) == ("ready", ["orvenna"], 3_000_000)
    assert len(adapter["sha256"]) == 64
    assert adapter["base_revision"] == REVISION
    assert api.get(f"/v1/adapters/{adapter_id}/report").json()["recall"]["adapter"]["right"] == 4
    assert (adapter["degraded"], adapter["failed_floors"]) == (False, [])
    assert [row["id"] for row in api.get("/v1/adapters", params={"status": "ready"}).json()["data"]] == [adapter_id]
    assert api.get("/v1/adapters", params={"status": "failed"}).json()["data"] == []


def test_pairs_come_in_pages_with_their_passages(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api)
    finish(taken, tmp_path)
    url = f"/v1/adapters/{taken['adapter']['id']}/pairs"
    first = api.get(url, params={"limit": 3}).json()
    second = api.get(url, params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert [pair["id"] for pair in first["data"] + second["data"]] == ["q0", "q1", "q2", "q3", "q4"]
    assert second["next_cursor"] is None
    assert (first["data"][0]["passage"], first["data"][0]["document_id"]) == ("Fact 1.", "doc_x")
    assert (first["data"][0]["writer"], first["data"][0]["filters"]) == (None, None)
    assert (second["data"][1]["writer"], second["data"][1]["scores"]) == (
        "model",
        {"teacher": -0.25, "closed_book": -0.75},
    )
    assert api.get(url, params={"cursor": "nine"}).status_code == 422


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"split": "train"}, "1234"),
        ({"split": "held_out"}, "0"),
        ({"kind": "name"}, "0"),
        ({"document_id": "doc_y"}, "13"),
        ({"passage_id": "p1"}, "024"),
        ({"writer": "rule"}, "3"),
        ({"writer": "model", "known": "false"}, "4"),
        ({"known": "true"}, "3"),
        ({"sampled": "false"}, "0123"),
        ({"q": "it IS 2"}, "2"),
        ({"q": "what", "passage_id": "p1", "split": "train"}, "24"),
        ({"q": "nothing like it"}, ""),
    ],
)
def test_pairs_are_filtered_before_they_are_cut_into_pages(
    api_on_sqlite: httpx.Client, tmp_path: Path, filters: dict[str, str], expected: str
) -> None:
    taken = post(api_on_sqlite)
    finish(taken, tmp_path)
    found, cursor = "", None
    while True:
        params = {**filters, "limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = api_on_sqlite.get(f"/v1/adapters/{taken['adapter']['id']}/pairs", params=params).json()
        assert len(page["data"]) == 2 or page["next_cursor"] is None
        assert page["data"] or not found, "no page is empty, but the only one"
        found += "".join(pair["id"].removeprefix("q") for pair in page["data"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == expected


def test_a_filter_that_is_none_is_refused(api_on_sqlite: httpx.Client, tmp_path: Path) -> None:
    taken = post(api_on_sqlite)
    finish(taken, tmp_path)
    for wrong in ({"split": "exam"}, {"known": "perhaps"}, {"writer": "me"}, {"q": "x" * 201}):
        answer = api_on_sqlite.get(f"/v1/adapters/{taken['adapter']['id']}/pairs", params=wrong)
        assert (answer.status_code, answer.json()["field"]) == (422, next(iter(wrong)))


def test_a_report_is_json_or_a_page_as_asked(api_on_sqlite: httpx.Client, tmp_path: Path) -> None:
    taken = post(api_on_sqlite, title="<script>alert('title')</script>")
    evil = "<script>alert(1)</script>"
    answer = {"answer": evil, "right": False}
    item = {"question": f"Who {evil}?", "expected": evil, "base": answer, "teacher": answer, "adapter": answer}
    finish(taken, tmp_path, report={"recall": {"adapter": {"right": 0, "of": 1}}, "items": [item]})
    url = f"/v1/adapters/{taken['adapter']['id']}/report"
    as_json = api_on_sqlite.get(url)
    assert (as_json.headers["Content-Type"], as_json.headers["Vary"]) == ("application/json", "Accept")
    assert as_json.json()["items"][0]["question"] == f"Who {evil}?"
    browser = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    page = api_on_sqlite.get(url, headers=browser)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Content-Security-Policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "<script" not in page.text
    assert "Who &lt;script&gt;alert(1)&lt;/script&gt;?" in page.text
    assert api_on_sqlite.get(url, params={"format": "html"}).text == page.text
    assert api_on_sqlite.get(url, params={"format": "json"}, headers=browser).json() == as_json.json()
    assert api_on_sqlite.get(url, params={"format": "pdf"}).status_code == 422


def test_reports_are_read_only_where_they_are_asked_for(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api, alias="orvenna")
    finish(taken, tmp_path)
    adapter = f"/v1/adapters/{taken['adapter']['id']}"
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        for path in ("/v1/models", "/v1/models/orvenna", "/v1/adapters", "/v1/jobs", adapter, f"{adapter}/pairs"):
            assert api.get(path).status_code == 200
        assert statements
        assert not [statement for statement in statements if "adapters.report" in statement]
        assert api.get(f"{adapter}/report").json()["recall"]["adapter"]["right"] == 4
        assert [statement for statement in statements if "adapters.report" in statement]
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_the_reports_shape_is_documented(api_on_sqlite: httpx.Client) -> None:
    schema = api_on_sqlite.get("/openapi.json").json()
    content = schema["paths"]["/v1/adapters/{adapter_id}/report"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/Report"}
    assert "text/html" in content
    report = schema["components"]["schemas"]["Report"]
    assert report["properties"]["version"]["const"] == 1
    assert {"recall", "recovered", "retention", "coverage", "items", "loss", "stages"} <= report["properties"].keys()


@pytest.mark.parametrize("accept", ["application/json", "text/html"])
def test_a_report_of_nothing_is_a_404(api_on_sqlite: httpx.Client, accept: str) -> None:
    answer = api_on_sqlite.get("/v1/adapters/adp_01k00000000000000000000000/report", headers={"Accept": accept})
    assert (answer.status_code, answer.headers["Content-Type"]) == (404, "application/problem+json")


def test_a_download_is_the_adapters_files(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api)
    adapter_id = taken["adapter"]["id"]
    finish(taken, tmp_path)
    answer = api.get(f"/v1/adapters/{adapter_id}/download")
    assert answer.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [
            f"{adapter_id}/adapter_config.json",
            f"{adapter_id}/adapter_model.safetensors",
        ]
        assert json.loads(archive.read(f"{adapter_id}/adapter_config.json"))["r"] == 8
        assert archive.read(f"{adapter_id}/adapter_model.safetensors") == b"\0" * 3_000_000
    assert api.get(f"/v1/adapters/{adapter_id}/download").content == answer.content


def test_the_floors_of_a_job_are_the_requests_or_the_installations(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, home: Path
) -> None:
    monkeypatch.setenv("INGRAIN_MIN_RETENTION", "0.7")
    monkeypatch.setenv("INGRAIN_MIN_RECALL", "0.2")
    api: httpx.Client = request.getfixturevalue("api_on_sqlite")

    def floors(**settings: float) -> list[float]:
        adapter = api.get(f"/v1/adapters/{post(api, settings=settings)['adapter']['id']}").json()
        return [adapter["settings"][name] for name in ("min_retention", "min_recall", "alias_degraded")]

    assert floors() == [0.7, 0.2, False]
    assert floors(min_retention=0, min_recall=1, alias_degraded=True) == [0, 1, True]
    settings = api.get("/v1/adapters").json()["data"][0]["settings"]
    assert api.post("/v1/documents", json={"text": LIGHTHOUSE, "settings": settings}).status_code == 202
    refused = api.post("/v1/documents", json={"text": LIGHTHOUSE, "settings": {"min_recall": 1.1}})
    assert (refused.status_code, refused.json()["field"]) == (422, "settings.min_recall")


def test_a_degraded_adapter_says_why_and_gets_an_alias_when_it_is_pointed(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api, alias="orvenna")
    adapter_id = taken["adapter"]["id"]
    finish(taken, tmp_path, failed_floors=[FailedFloor(floor="min_recall", wanted=0.9, found=0.8)])
    adapter = api.get(f"/v1/adapters/{adapter_id}").json()
    assert (adapter["status"], adapter["degraded"], adapter["alias"], adapter["aliases"]) == (
        "ready",
        True,
        "orvenna",
        [],
    )
    assert adapter["failed_floors"] == [{"floor": "min_recall", "of": None, "wanted": 0.9, "found": 0.8}]
    assert api.get("/v1/adapters").json()["data"] == [adapter]
    assert api.get(f"/v1/jobs/{taken['job']['id']}").json()["degraded"] is True
    assert [model["id"] for model in api.get("/v1/models").json()["data"]] == ["smollm2-135m", adapter_id]
    unknown = api.get("/v1/models/orvenna")
    assert unknown.status_code == 404
    assert f"The adapter {adapter_id} was to be called 'orvenna', but it is degraded" in unknown.text
    assert "degraded" not in api.get("/v1/models/handbook").text
    assert api.put("/v1/aliases/orvenna", json={"adapter_id": adapter_id}).status_code == 200
    adapter = api.get(f"/v1/adapters/{adapter_id}").json()
    assert (adapter["degraded"], adapter["aliases"]) == (True, ["orvenna"])
    assert api.get("/v1/models/orvenna").json()["root"] == adapter_id


@pytest.mark.parametrize("part", ["report", "pairs", "download"])
def test_what_is_not_made_yet_is_a_409_with_the_job(api_on_sqlite: httpx.Client, part: str) -> None:
    taken = post(api_on_sqlite)
    answer = api_on_sqlite.get(f"/v1/adapters/{taken['adapter']['id']}/{part}")
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "/problems/adapter-not-ready")
    assert (problem["job"]["id"], problem["job"]["status"]) == (taken["job"]["id"], "queued")


def test_a_deleted_adapter_is_gone_with_all_that_was_its(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api, alias="orvenna")
    adapter_id, job_id = taken["adapter"]["id"], taken["job"]["id"]
    store = Store(get_settings().resolved_store_url)
    finish(taken, tmp_path)
    assert store.is_whole(f"adapters/{adapter_id}")
    assert api.delete(f"/v1/adapters/{adapter_id}").status_code == 204
    for path in (f"adapters/{adapter_id}", f"jobs/{job_id}", "aliases/orvenna", f"adapters/{adapter_id}/download"):
        assert api.get(f"/v1/{path}").status_code == 404
    assert not store.is_whole(f"adapters/{adapter_id}")
    assert not store.is_whole(f"jobs/{job_id}/answer")
    assert api.get(f"/v1/documents/{taken['document']['id']}").status_code == 200
    assert api.delete(f"/v1/adapters/{adapter_id}").status_code == 404


@pytest.mark.parametrize("path", ["adapters/{adapter}", "documents/{document}?cascade=true"])
def test_a_deleted_adapter_leaves_no_copy_of_a_remote_stores_files(
    sqlite_database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: str
) -> None:
    monkeypatch.setenv("INGRAIN_STORE_URL", "memory://copies")
    get_settings.cache_clear()
    with serving(get_settings()) as api:
        taken = post(api, alias="orvenna")
        finish(taken, tmp_path)
        adapter_id, cache = taken["adapter"]["id"], get_settings().artefact_cache
        copy = Store(get_settings().resolved_store_url).local_folder(f"adapters/{adapter_id}", cache)
        assert copy.is_relative_to(cache)
        names = {"adapter": adapter_id, "document": taken["document"]["id"]}
        assert api.delete(f"/v1/{path.format(**names)}").status_code == 204
        assert not copy.exists()


def test_copies_of_adapters_that_are_gone_are_swept_when_the_service_starts(
    sqlite_database: str, tmp_path: Path
) -> None:
    copies = get_settings().artefact_cache / "adapters"
    with serving(get_settings()) as api:
        kept = post(api)["adapter"]["id"]
    gone = new_id("adp")
    for name in (kept, gone, ".fetching-1"):
        (copies / name).mkdir(parents=True)
        (copies / name / "adapter_model.safetensors").write_bytes(b"weights")
    with serving(get_settings()):
        assert {entry.name for entry in copies.iterdir()} == {kept, ".fetching-1"}


@pytest.mark.parametrize("broken", ["adapters/", "jobs/"])
def test_where_the_store_fails_the_same_request_finishes_the_deletion(
    api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    taken = post(api)
    finish(taken, tmp_path)
    url = f"/v1/adapters/{taken['adapter']['id']}"
    delete = Store.delete

    def fail(self: Store, path: str) -> None:
        if path.startswith(broken):
            raise OSError(5, "Input/output error", path)
        delete(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "delete", fail)
        answer = api.delete(url)
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert "the same DELETE again" in answer.json()["detail"]
    assert api.get(url).status_code == 200
    assert api.delete(url).status_code == 204
    assert api.get(url).status_code == 404
    store = Path(get_settings().resolved_store_url.removeprefix("file://"))
    assert not [each for folder in ("adapters", "jobs") for each in (store / folder).iterdir()]


def test_an_adapter_whose_job_is_active_cannot_be_deleted(api: httpx.Client) -> None:
    taken = post(api)
    start(taken["job"]["id"])
    answer = api.delete(f"/v1/adapters/{taken['adapter']['id']}")
    assert (answer.status_code, answer.json()["job"]["status"]) == (409, "running")


def test_aliases_are_pointed_and_forgotten(api: httpx.Client, tmp_path: Path) -> None:
    first, second, pending = post(api), post(api), post(api)
    finish(first, tmp_path / "1")
    finish(second, tmp_path / "2")
    for taken in (first, second):
        answer = api.put("/v1/aliases/b", json={"adapter_id": taken["adapter"]["id"]})
        assert (answer.status_code, answer.json()["adapter_id"]) == (200, taken["adapter"]["id"])
    api.put("/v1/aliases/a", json={"adapter_id": first["adapter"]["id"]})
    page = api.get("/v1/aliases", params={"limit": 1}).json()
    rest = api.get("/v1/aliases", params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert [alias["name"] for alias in page["data"] + rest["data"]] == ["a", "b"]
    refused = api.put("/v1/aliases/b", json={"adapter_id": pending["adapter"]["id"]})
    assert (refused.status_code, api.get("/v1/aliases/b").json()["adapter_id"]) == (409, second["adapter"]["id"])
    assert api.delete("/v1/aliases/b").status_code == 204
    assert api.delete("/v1/aliases/b").status_code == 404
    assert api.get(f"/v1/adapters/{second['adapter']['id']}").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "document_ids"),
        ({"document_ids": []}, "document_ids"),
        ({"document_ids": ["doc_01k00000000000000000000000"] * 1001}, "document_ids"),
        ({"document_ids": ["doc_01k00000000000000000000000"]}, "document_ids.0"),
        ({"document_ids": ["\0"]}, "document_ids.0"),
        ({"document_ids": ["x"], "settings": {"rank": 65}}, "settings.rank"),
    ],
)
def test_a_bad_adapter_is_refused_with_the_field(api: httpx.Client, body: dict[str, object], field: str) -> None:
    answer = api.post("/v1/adapters", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)


def test_an_alias_is_refused_in_words(api_on_sqlite: httpx.Client) -> None:
    for path, body in (("documents", {"text": LIGHTHOUSE}), ("adapters", {"document_ids": ["doc_x"]})):
        answer = api_on_sqlite.post(f"/v1/{path}", json={**body, "alias": "bad name"})
        assert (answer.status_code, answer.json()["field"]) == (422, "alias")
        assert "'bad name' is not a name: use up to 64 letters" in answer.json()["detail"]


def test_an_adapter_is_read_by_an_alias_too(api: httpx.Client, tmp_path: Path) -> None:
    taken = post(api, alias="orvenna")
    finish(taken, tmp_path)
    adapter_id = taken["adapter"]["id"]
    assert api.get("/v1/adapters/orvenna").json()["id"] == adapter_id
    for part in ("report", "pairs", "download"):
        by_alias, by_id = (api.get(f"/v1/adapters/{name}/{part}") for name in ("orvenna", adapter_id))
        assert (by_alias.status_code, by_alias.content) == (200, by_id.content)
    assert adapter_id in api.get("/v1/adapters/orvenna/download").headers["Content-Disposition"]
    assert api.delete("/v1/adapters/orvenna").status_code == 404, "only what was meant is deleted"


@pytest.mark.parametrize("kind", ["adapters", "documents", "jobs", "aliases"])
@pytest.mark.parametrize("name", ["{kind}_01k00000000000000000000000", "organ"])
def test_what_does_not_exist_says_where_to_look(api_on_sqlite: httpx.Client, kind: str, name: str) -> None:
    prefix = {"adapters": "adp", "documents": "doc", "jobs": "job", "aliases": "any"}[kind]
    answer = api_on_sqlite.get(f"/v1/{kind}/{name.format(kind=prefix)}")
    assert answer.status_code == 404
    assert f"does not exist. GET /v1/{kind} lists those that do" in answer.json()["detail"]


@pytest.mark.parametrize("name", ["adp_x", "a b", "smollm2-135m", "%00", "ü", "x" * 65])
def test_a_bad_alias_is_refused(api: httpx.Client, name: str) -> None:
    body = {"adapter_id": "adp_01k00000000000000000000000"}
    assert api.put(f"/v1/aliases/{name}", json=body).status_code == 422
    assert api.get(f"/v1/aliases/{name}").status_code == api.delete(f"/v1/aliases/{name}").status_code == 404
