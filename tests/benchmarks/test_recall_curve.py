"""Recall by effort and number of pairs, and variants of a training, on a tiny model: what both tell of it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny import make_base

LINES = [
    {
        "title": "The Hollin Museum",
        "passage": "The Hollin Museum was founded by Ada Pellrow in 1962. Its café sells plum cake on Sundays.",
        "questions": [{"id": "1", "question": "who founded the museum?", "answers": ["Ada Pellrow"]}],
    },
    {
        "title": "Tarn Mill",
        "passage": "Tarn Mill was built in 1874 by Otto Brandt. It grinds 40 tonnes of rye every month.",
        "questions": [{"id": "2", "question": "when was the mill built?", "answers": ["1874"]}],
    },
]


@pytest.fixture(scope="module")
def common(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The options that both scripts get."""
    folder = tmp_path_factory.mktemp("curve")
    data = folder / "made.jsonl"
    data.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    base = make_base(folder / "base", context=2048)
    common = ["--data", str(data), "--model", str(base), "--retrieval", "bm25"]
    return [*common, "--set", "epochs=1", "rank=4", "passage_words=12", "answers_per_question=1"]


def run(script: str, common: list[str], *options: str | Path) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{script}", *common, *map(str, options)],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_each_number_of_pairs_has_an_adapter_of_its_own(common: list[str], tmp_path: Path) -> None:
    table = run(
        "recall_curve",
        common,
        *("--efforts", "quick", "--pairs-per-passage", "4", "1", "--engines", "2"),
        *("--work", tmp_path / "run"),
        *("--json", tmp_path / "out.json", "--figure", tmp_path / "out.svg"),
    )
    told: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    few, many = told["adapters"]
    assert (few["effort"], few["most"], few["pairs"]) == ("quick", 1, 2)
    assert (many["most"], many["effort"]) == (4, "quick")
    assert few["pairs"] < many["pairs"] <= 8
    for point in told["adapters"]:
        assert point["accuracy"]["low"] <= point["accuracy"]["value"] <= point["accuracy"]["high"]
        assert point["seconds"] > 0
        assert f"{100 * point['accuracy']['value']:.1f}" in table
    assert set(told["levels"]) == {"base", "oracle"}
    drawn = (tmp_path / "out.svg").read_text()
    assert "<svg" in drawn
    assert "quick" in drawn
    logs = list((tmp_path / "run" / "quick" / "seed-0" / "scratch").glob("embedded-*.log"))
    assert len(logs) == 2


def test_variants_are_trained_on_the_same_pairs_and_told_beside_the_first(common: list[str], tmp_path: Path) -> None:
    table = run(
        "training_variants",
        common,
        *("--effort", "quick", "--variants", "", "objective=sft", "--work", tmp_path / "run"),
        *("--json", tmp_path / "out.json"),
    )
    plain, varied = json.loads((tmp_path / "out.json").read_text())
    assert (plain["variant"], varied["variant"]) == ("", "objective=sft")
    assert plain["against_first"] == {"value": 0, "low": 0, "high": 0}
    assert varied["drift"] != plain["drift"] > 0
    assert "as it is" in table
    adapters = [
        tmp_path / "run" / "seed-0" / name
        for name in ("prompt-distillation-all", "supervised-fine-tuning-all-objective=sft")
    ]
    asked = [
        [json.loads(line)["question"] for line in (each / "artefacts" / "answer" / "pairs.jsonl").open()]
        for each in adapters
    ]
    assert asked[0] == asked[1]
    assert asked[0]
