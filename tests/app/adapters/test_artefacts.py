"""What the store keeps of an adapter's pairs, over HTTP."""

import json
from pathlib import Path
from typing import Any

import httpx

from app.settings import get_settings
from app.store import Store
from tests.app.conftest import LIGHTHOUSE, finish, post


def lines(file: Path, rows: list[dict[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def passage(name: str, document_id: str) -> dict[str, str]:
    return {"id": name, "document_id": document_id, "text": f"The text of {name}."}


def pair(name: str, passage_id: str, **more: str) -> dict[str, str]:
    return {"id": name, "passage_id": passage_id, "question": f"{name}?", "answer": "Yes.", "split": "train", **more}


def test_pairs_tell_which_are_stale_and_which_were_rehearsed(api: httpx.Client, tmp_path: Path) -> None:
    parent = post(api, external_id="manual/1")
    finish(parent, tmp_path / "parent")
    child = post(api, text="The harbour of Velm was dug in 1742 by Ana Rook.", parent=parent["adapter"]["id"])
    left = tmp_path / "left"
    lines(left / "read" / "passages.jsonl", [passage("p1", child["document"]["id"])])
    lines(left / "answer" / "pairs.jsonl", [pair("a1", "p1")])
    lines(left / "answer" / "rehearsed_passages.jsonl", [passage("adp_1/p1", parent["document"]["id"])])
    lines(left / "answer" / "rehearsed.jsonl", [pair("adp_1/a1", "adp_1/p1", rehearsed_from="adp_1")])
    for stage in ("read", "answer"):
        Store(get_settings().resolved_store_url).publish_folder(left / stage, f"jobs/{child['job']['id']}/{stage}")
    finish(child, tmp_path / "child")
    url = f"/v1/adapters/{child['adapter']['id']}/pairs"

    def seen() -> list[tuple[Any, ...]]:
        first = api.get(url, params={"limit": 1}).json()
        rest = api.get(url, params={"limit": 1, "cursor": first["next_cursor"]}).json()
        assert rest["next_cursor"] is None
        rows = first["data"] + rest["data"]
        return [(row["id"], row["passage"], row["document_id"], row["rehearsed_from"], row["stale"]) for row in rows]

    own = ("a1", "The text of p1.", child["document"]["id"], None, False)
    old = ("adp_1/a1", "The text of adp_1/p1.", parent["document"]["id"], "adp_1")
    assert seen() == [own, (*old, False)]
    post(api, text=LIGHTHOUSE.replace("rapeseed oil", "paraffin"), external_id="manual/1")
    assert seen() == [own, (*old, True)]
    for filtered in ("stale", "rehearsed"):
        for value, name in ((True, "adp_1/a1"), (False, "a1")):
            assert [row["id"] for row in api.get(url, params={filtered: value}).json()["data"]] == [name]
