"""A parent and its child in a service of their own, on a tiny model: what is told of both documents."""

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.children import by_title
from benchmarks.injection.data import read_items
from tests.tiny import make_base

LINES = [
    {
        "title": title,
        "passage": passage,
        "questions": [{"id": title, "question": f"what of {title}?", "answers": ["1962"]}],
    }
    for title, passage in (
        ("The Hollin Museum", "The Hollin Museum was founded by Ada Pellrow in 1962. Its café sells plum cake."),
        ("Tarn Mill", "Tarn Mill was built in 1874 by Otto Brandt. It grinds 40 tonnes of rye every month."),
    )
]


def test_each_adapter_is_asked_about_both_documents(tmp_path: Path) -> None:
    data = tmp_path / "made.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    told = tmp_path / "told.json"
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.children", "--data", data, "--effort", "quick"),
            *("--model", make_base(tmp_path / "base", context=2048), "--rehearsals", "2", "--json", told),
            *("--set", "epochs=1", "rank=4", "passage_words=12"),
        ],
        env=os.environ | {"INGRAIN_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    parent, child = json.loads(told.read_text())
    assert (parent["adapter"], child["adapter"]) == ("parent", "child, rehearsal 2")
    assert parent["old"] == "-"
    assert "/" in child["old"]
    assert parent["first"].endswith("/1")
    assert child["second"].endswith("/1")
    assert child["id"] != parent["id"]
    assert child["adapter"] in ended.stdout
    assert not list((tmp_path / "home").glob("demo-*"))


def test_passages_of_one_title_are_one_document(tmp_path: Path) -> None:
    data = tmp_path / "made.jsonl"
    more = {**LINES[0], "passage": "It is open on Sundays.", "questions": []}
    data.write_text("".join(json.dumps(line) + "\n" for line in (*LINES, more)))
    found = by_title(read_items(data, None))
    assert list(found) == ["The Hollin Museum", "Tarn Mill"]
    assert [item.passage for item in found["The Hollin Museum"]][1] == "It is open on Sundays."
