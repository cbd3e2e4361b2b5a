import json
from collections.abc import Callable
from pathlib import Path
from unittest.mock import ANY

import pytest

from app.errors import StageError
from tests.worker.stages.conftest import MakeInputs
from worker.stages import answer, ask, read

TEXT = "The Hollin Museum was founded by Ada Pell in 1962. A ticket costs 8 florins."


def test_pairs_with_the_facts_own_sentence_where_the_teacher_fails(
    make_inputs: MakeInputs, folder: Callable[[str], Path]
) -> None:
    told: list[tuple[int, int]] = []
    inputs = make_inputs(TEXT)
    read.run(inputs, folder("read"), lambda *_: None)
    ask.run(inputs, folder("ask"), lambda *_: None)
    out = folder("answer")
    summary = answer.run(inputs, out, lambda done, total: told.append((done, total)))
    pairs = [json.loads(line) for line in (out / "pairs.jsonl").read_text().splitlines()]
    answers = {pair["question"]: pair["answer"] for pair in pairs}
    assert answers["By whom was the Hollin Museum founded?"] == "The Hollin Museum was founded by Ada Pell in 1962."
    assert answers["At the Hollin Museum, a ticket costs how many florins?"] == "A ticket costs 8 florins."
    by_question = {pair["question"]: pair for pair in pairs}
    assert by_question["At the Hollin Museum, a ticket costs how many florins?"] == {
        "id": ANY,
        "passage_id": "p0002",
        "sentence": "A ticket costs 8 florins.",
        "kind": "in place",
        "question": ANY,
        "answer": "A ticket costs 8 florins.",
        "target": "8 florins",
        "split": "train",
        "writer": "rule",
        "sampled": False,
        "quoted": True,
        "known": False,
        "scores": {"teacher": None},
        "filters": [],
    }
    assert {pair["split"] for pair in pairs} <= {"train", "held_out"}
    assert summary["pairs"] == len(pairs)
    assert summary["facts"] == 3
    assert (summary["coverage"], summary["coverage_details"]["share"]) == (1.0, 1.0)
    assert summary["coverage_details"]["names_covered"] == 1
    assert json.loads((out / "coverage.json").read_text()) == []
    assert summary == json.loads((out / "summary.json").read_text())
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_a_sentence_without_facts_is_asked_for_again(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    inputs = make_inputs(f"{TEXT} The stones rattle loudly.", effort="quick")
    read.run(inputs, folder("read"), lambda *_: None)
    asked = ask.run(inputs, folder("ask"), lambda *_: None)
    summary = answer.run(inputs, folder("answer"), lambda *_: None)
    pairs = [json.loads(line) for line in (folder("answer") / "pairs.jsonl").read_text().splitlines()]
    again = [pair for pair in pairs if pair["sentence"] == "The stones rattle loudly."]
    assert 'Complete this sentence: "At the Hollin Museum, the stones rattle ..."' in [p["question"] for p in again]
    assert (summary["rounds"], summary["coverage"]) == (1, 1.0)
    assert asked["facts"] == summary["facts"] - 1
    resumed = answer.run(inputs, folder("answer"), lambda *_: None)
    assert resumed == {**summary, "engine": {**resumed["engine"]}}
    assert resumed["engine"]["requests"] == 0, "the journal answers all rounds"


def test_no_answer_that_passes_says_what_to_do(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    inputs = make_inputs("Welcome to all of you here!")
    read.run(inputs, folder("read"), lambda *_: None)
    question = {
        "id": "q00001",
        "passage_id": "p0001",
        "question": "Where?",
        "kind": "open",
        "target": None,
        "fact": None,
    }
    (folder("ask") / "questions.jsonl").write_text(json.dumps(question) + "\n")
    with pytest.raises(StageError, match=r"None of the teacher's answers to 1 questions.*passage_words"):
        answer.run(inputs, folder("answer"), lambda *_: None)
