"""Children: what they are made of, what their parent must be, and what is refused."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.database import unit_of_work
from app.jobs import queries
from app.models import Adapter
from app.settings import get_settings
from app.store import Store
from tests.app.conftest import LIGHTHOUSE, REVISION, finish, post

NEWS = LIGHTHOUSE.replace("rapeseed oil", "paraffin")
OTHER = "The harbour of Velm was dug in 1742 by Ana Rook."


def documents_of(api: httpx.Client, taken: dict[str, Any]) -> list[str]:
    adapter = api.get(f"/v1/adapters/{taken['adapter']['id']}").json()
    return [document["id"] for document in adapter["documents"]]


def test_a_child_knows_the_parents_documents_and_its_own(api: httpx.Client, tmp_path: Path) -> None:
    old = post(api, alias="orvenna", settings={"rank": 16})
    finish(old, tmp_path)
    child = post(api, text=OTHER, parent="orvenna")
    assert documents_of(api, child) == [old["document"]["id"], child["document"]["id"]]
    view = api.get(f"/v1/adapters/{child['adapter']['id']}").json()
    assert view["parent"] == old["adapter"]["id"]
    assert view["settings"]["rank"] == 16, "as the parent's, so that its weights fit"
    assert view["settings"]["rehearsal"] == 2
    with unit_of_work() as session:
        told = queries.parent_of(session, session.get_one(Adapter, child["adapter"]["id"]))
    assert told == {
        "adapter_id": old["adapter"]["id"],
        "job_id": old["job"]["id"],
        "base_revision": REVISION,
        "documents": [old["document"]["id"]],
        "left_out": [],
    }


def test_a_child_of_documents_that_are_there(api: httpx.Client, tmp_path: Path) -> None:
    old, new = post(api), post(api, text=OTHER)
    finish(old, tmp_path)
    ids = [new["document"]["id"], old["document"]["id"]]
    body = {"document_ids": ids, "parent": old["adapter"]["id"], "settings": {"rank": 8, "rehearsal": 0.5}}
    child = api.post("/v1/adapters", json=body)
    assert child.status_code == 202, child.text
    assert documents_of(api, child.json()) == sorted(ids)
    settings = api.get(f"/v1/adapters/{child.json()['adapter']['id']}").json()["settings"]
    assert (settings["rank"], settings["rehearsal"]) == (8, 0.5)


def test_a_child_leaves_out_what_was_replaced(api: httpx.Client, tmp_path: Path) -> None:
    first = post(api, external_id="manual/1")
    other = post(api, text=OTHER)
    both = [first["document"]["id"], other["document"]["id"]]
    parent = api.post("/v1/adapters", json={"document_ids": both}).json()
    finish(parent, tmp_path)
    child = post(api, text=NEWS, external_id="manual/1", parent=parent["adapter"]["id"])
    assert documents_of(api, child) == [other["document"]["id"], child["document"]["id"]]
    assert not api.get(f"/v1/adapters/{child['adapter']['id']}").json()["is_stale"]
    with unit_of_work() as session:
        told = queries.parent_of(session, session.get_one(Adapter, child["adapter"]["id"]))
    assert told is not None
    assert (told["documents"], told["left_out"]) == ([other["document"]["id"]], [first["document"]["id"]])


def test_a_replaced_document_that_a_child_is_to_know_is_refused(api: httpx.Client, tmp_path: Path) -> None:
    old = post(api, external_id="manual/1")
    finish(old, tmp_path)
    new = post(api, text=NEWS, external_id="manual/1")["document"]["id"]
    named = {"document_ids": [old["document"]["id"], new], "parent": old["adapter"]["id"]}
    for ids, field in (([old["document"]["id"]], "document_ids"), (named["document_ids"], "document_ids.0")):
        answer = api.post("/v1/adapters", json={**named, "document_ids": ids})
        assert (answer.status_code, answer.json()["field"]) == (422, field)
        assert f"was replaced by {new}" in answer.json()["detail"]
    assert api.post("/v1/adapters", json={**named, "document_ids": [new]}).status_code == 202


def test_two_versions_of_a_document_are_not_learnt_together(api: httpx.Client, tmp_path: Path) -> None:
    texts = [LIGHTHOUSE, NEWS, f"{NEWS} It is white."]
    first, second, third = (post(api, text=text, external_id="manual/1") for text in texts)
    other = post(api, text=OTHER)["document"]["id"]
    finish(third, tmp_path)
    old, newer, current = (taken["document"]["id"] for taken in (first, second, third))
    parent = {"parent": third["adapter"]["id"]}
    for body, place, by in (
        ({"document_ids": [other, old, current]}, 1, newer),
        ({"document_ids": [current, other, newer]}, 2, current),
        ({"document_ids": [old, newer]}, 0, newer),
        ({"document_ids": [other, newer], **parent}, 1, current),
        ({"document_ids": [other, current, old], **parent}, 2, newer),
    ):
        refused = api.post("/v1/adapters", json=body)
        assert (refused.status_code, refused.json()["field"]) == (422, f"document_ids.{place}"), refused.text
        assert f"replaced by {by}" in refused.json()["detail"]
    assert api.post("/v1/adapters", json={"document_ids": [other, old]}).status_code == 202, "it may be meant"


def test_a_parent_that_is_not_ready_is_a_409_with_its_job(api: httpx.Client) -> None:
    old = post(api)
    answer = api.post("/v1/documents", json={"text": OTHER, "parent": old["adapter"]["id"]})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/adapter-not-ready")
    assert answer.json()["job"]["id"] == old["job"]["id"]
    assert len(api.get("/v1/documents").json()["data"]) == 1, "what was refused is not kept"
    kept = Path(get_settings().resolved_store_url.removeprefix("file://")) / "documents"
    assert [folder.name for folder in kept.iterdir()] == [old["document"]["id"]]


@pytest.mark.parametrize("parent", ["adp_01k00000000000000000000000", "nobody", "\0"])
def test_a_parent_that_does_not_exist_is_refused(api: httpx.Client, parent: str) -> None:
    answer = api.post("/v1/documents", json={"text": OTHER, "parent": parent})
    assert (answer.status_code, answer.json()["field"]) == (422, "parent")


def test_a_parent_of_another_base_model_is_refused_with_both(api: httpx.Client, tmp_path: Path) -> None:
    old = post(api)
    finish(old, tmp_path)
    with unit_of_work() as session:
        session.get_one(Adapter, old["adapter"]["id"]).base_model = "former-model"
    answer = api.post("/v1/documents", json={"text": OTHER, "parent": old["adapter"]["id"]})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/wrong-base-model")
    assert "former-model" in answer.json()["detail"]
    assert "smollm2-135m" in answer.json()["detail"]


def test_a_parent_of_another_revision_is_refused_with_both(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, home: Path, tmp_path: Path
) -> None:
    monkeypatch.setenv("INGRAIN_BASE_MODEL_REVISION", "b" * 40)
    api: httpx.Client = request.getfixturevalue("api_on_sqlite")
    old = post(api)
    finish(old, tmp_path)
    answer = api.post("/v1/documents", json={"text": OTHER, "parent": old["adapter"]["id"]})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/wrong-base-model")
    assert REVISION in answer.json()["detail"]
    assert "b" * 40 in answer.json()["detail"]


def test_a_parent_without_pairs_in_the_store_is_refused(api_on_sqlite: httpx.Client, tmp_path: Path) -> None:
    old = post(api_on_sqlite)
    finish(old, tmp_path)
    Store(get_settings().resolved_store_url).delete(f"jobs/{old['job']['id']}/answer")
    answer = api_on_sqlite.post("/v1/documents", json={"text": OTHER, "parent": old["adapter"]["id"]})
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    assert f"jobs/{old['job']['id']}/answer" in answer.json()["detail"]


def test_a_child_of_nothing_new_is_refused(api: httpx.Client, tmp_path: Path) -> None:
    old = post(api, external_id="manual/1")
    finish(old, tmp_path)
    body = {"document_ids": [old["document"]["id"]], "parent": old["adapter"]["id"]}
    answer = api.post("/v1/adapters", json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "parent")
    again = {"text": LIGHTHOUSE, "external_id": "manual/1", "parent": old["adapter"]["id"]}
    assert api.post("/v1/documents", json=again).status_code == 422


def test_a_parent_stays_until_its_child_is_ready(api: httpx.Client, tmp_path: Path) -> None:
    old = post(api)
    finish(old, tmp_path / "old")
    child = post(api, text=OTHER, parent=old["adapter"]["id"])
    refused = api.delete(f"/v1/adapters/{old['adapter']['id']}")
    assert refused.status_code == 409
    assert refused.json()["adapters"] == [{"id": child["adapter"]["id"], "status": "pending"}]
    finish(child, tmp_path / "child")
    assert api.delete(f"/v1/adapters/{old['adapter']['id']}").status_code == 204
    left = api.get(f"/v1/adapters/{child['adapter']['id']}").json()
    assert (left["status"], left["parent"]) == ("ready", old["adapter"]["id"])


def test_a_line_of_adapters_goes_with_the_document_they_all_know(api: httpx.Client, tmp_path: Path) -> None:
    old = post(api)
    finish(old, tmp_path / "old")
    child = post(api, text=OTHER, parent=old["adapter"]["id"])
    api.post(f"/v1/jobs/{child['job']['id']}/cancel")
    refused = api.delete(f"/v1/documents/{old['document']['id']}")
    assert [adapter["id"] for adapter in refused.json()["adapters"]] == [child["adapter"]["id"], old["adapter"]["id"]]
    assert api.delete(f"/v1/documents/{old['document']['id']}", params={"cascade": True}).status_code == 204
    assert api.get("/v1/adapters").json()["data"] == []
    assert [row["id"] for row in api.get("/v1/documents").json()["data"]] == [child["document"]["id"]]
