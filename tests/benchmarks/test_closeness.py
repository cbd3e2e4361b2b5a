"""Recall by how close the nearest pair comes to a question, of a run's folder that is made by hand."""

import json
import sys
from pathlib import Path

import pytest

from benchmarks import closeness

QUESTIONS = {
    "q1": ("Who founded the Hollin Museum?", "Ada Pell"),
    "q2": ("How many boats does it hold?", "460"),
    "q3": ("In which town does it stand?", "Stroud"),
    "q4": ("When was it founded?", "1962"),
}
PAIRS = [
    ("Who founded the Hollin Museum?", "Ada Pell founded it.", "train"),
    ("What is the loudest thing on market days?", "The bell of Ada Pell.", "train"),
    ("How many boats does it hold?", "It holds 460 boats.", "held_out"),
    ("What does the steamer weigh?", "460 tonnes.", "train"),
]
SAID = {
    "oracle": ("Ada Pell.", "460 boats.", "In Stroud.", "In 1926."),
    "pd": ("Ada Pell.", "30 boats.", "In Stroud.", "In 1962."),
    "sft": ("Hugo Brandt.", "460 boats.", "In Elgin.", "In 1926."),
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    asked = [{"id": name, "question": text, "answers": [answer]} for name, (text, answer) in QUESTIONS.items()]
    file = tmp_path / "data.jsonl"
    file.write_text(json.dumps({"title": "The Hollin Museum", "passage": "A museum.", "questions": asked}))
    return file


@pytest.fixture
def work(tmp_path: Path) -> Path:
    pairs = tmp_path / "work" / "seed-0" / "pairs"
    for stage in ("read", "answer"):
        (pairs / stage).mkdir(parents=True)
    passage = {"id": "p1", "document_id": "passage-0001", "title": "", "heading": None, "text": "", "focus": ""}
    (pairs / "read" / "passages.jsonl").write_text(json.dumps(passage))
    lines = [{"passage_id": "p1", "question": asked, "answer": said, "split": split} for asked, said, split in PAIRS]
    (pairs / "answer" / "pairs.jsonl").write_text("\n".join(map(json.dumps, lines)))
    for name, said in SAID.items():
        file = tmp_path / "work" / ("answers-oracle.json" if name == "oracle" else f"seed-0/answers-{name}-all.json")
        file.write_text(json.dumps({"answers": dict(zip(QUESTIONS, said, strict=True)), "seconds": 1.0}))
    return tmp_path / "work"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["closeness", *map(str, arguments)])
    closeness.main()


def test_the_questions_of_the_oracle_are_told_by_the_nearest_pair_that_is_trained_on(
    data: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--data", data, "--work", work)
    rows = [line.replace("│", " ").split() for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert rows[0] == ["no", "pair", "1", "0", "100"], "none holds Stroud, sft has it wrong; 1962 the oracle has not"
    assert rows[-1] == ["0.8", "to", "1", "1", "0", "100"], "the founder is asked for in the very words"
    assert len(rows) == 3, "the held-out pair of the boats, which is as close, counts for nothing"
    assert rows[1][-3:] == ["1", "100", "0"]


@pytest.mark.parametrize(
    ("most_alike", "expected"),
    [(None, "no pair"), (-0.1, "-1 to 0.4"), (0.4, "0.4 to 0.6"), (0.79, "0.6 to 0.8"), (1.0, "0.8 to 1")],
)
def test_the_classes_of_likeness(most_alike: float | None, expected: str) -> None:
    assert closeness.class_of(most_alike) == expected


def test_a_folder_without_such_a_run_is_told_with_the_way_out(
    data: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "answers-oracle.json").unlink()
    with pytest.raises(SystemExit):
        run(monkeypatch, "--data", data, "--work", work)
    assert "Run benchmarks.squadshifts" in " ".join(capsys.readouterr().out.split())
