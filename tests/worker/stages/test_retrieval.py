"""What the base model is given to read when examine compares retrieval with the adapter."""

from pathlib import Path

import pytest

from worker.pairs.passages import Passage
from worker.pairs.writing import STRONG_MODEL
from worker.stages import retrieval, teaching
from worker.stages.retrieval import Retrieval
from worker.stages.teaching import Teaching

TEXTS = [
    "The Hollin Museum was founded by Ada Pellrow in 1962.",
    "It burns rapeseed oil.",
    "Its cat is called Tomas.",
    "The entry costs four marks.",
    "The museum has seven rooms.",
]


@pytest.fixture
def weak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Teaching:
    """The teacher of a small model."""
    monkeypatch.setattr(teaching, "parameters_of", lambda _: STRONG_MODEL - 1)
    passages = [
        Passage(f"p{number}", "doc_1", "The Hollin Museum", None, text, text) for number, text in enumerate(TEXTS)
    ]
    return Teaching(passages, tmp_path)


def test_the_best_passages_come_first(weak: Teaching) -> None:
    found = Retrieval(weak).find("What is the cat called?")
    assert found[0]["passage_id"] == "p2"
    assert len(found) == retrieval.PASSAGES
    assert found[0]["score"] > found[1]["score"] >= 0


def test_the_base_model_reads_them_as_the_teacher_would(weak: Teaching) -> None:
    asked = Retrieval(weak)
    question = "Who founded the museum?"
    only = asked.messages([{"passage_id": "p0", "score": 1.0}], question)
    assert only == weak.messages("p0", question)
    several = asked.messages([{"passage_id": name, "score": 1.0} for name in ("p2", "p0")], question)
    read = several[-1]["content"]
    assert read.index("Tomas") < read.index("Ada Pellrow") < read.index(question)
    assert several[:-1] == only[:-1], "the same examples in front"


def test_a_strong_model_reads_under_title_and_heading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teaching, "parameters_of", lambda _: STRONG_MODEL)
    passage = Passage("p0", "doc_1", "The Hollin Museum", "Rooms", "There are seven.", "There are seven.")
    strong = Teaching([passage], tmp_path)
    assert strong.reading("p0") == "The Hollin Museum (Rooms). There are seven."
    assert strong.retrieved(["p0"], "How many?") == strong.messages("p0", "How many?")
