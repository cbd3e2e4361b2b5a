import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from app.errors import StageError
from tests.worker.stages.conftest import MakeInputs
from worker.pairs import answering
from worker.pairs.answering import Answered, Answering
from worker.stages import Parent, answer, ask, read

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
        "accepted": ["8 florins", "8"],
        "split": "train",
        "writer": "rule",
        "sampled": False,
        "quoted": True,
        "known": False,
        "scores": {"teacher": None, "closed_book": None},
        "filters": [],
    }
    assert {pair["split"] for pair in pairs} <= {"train", "held_out"}
    assert summary["pairs"] == len(pairs)
    assert 0 <= summary["near_duplicates"] < 1
    assert all(summary["dropped_questions"].values())
    assert summary["facts"] == 3
    assert (summary["coverage"], summary["coverage_details"]["share"]) == (1.0, 1.0)
    assert summary["coverage_details"]["names_covered"] == 1
    assert json.loads((out / "coverage.json").read_text()) == []
    assert summary == json.loads((out / "summary.json").read_text())
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]
    questions = len((inputs.artefacts / "ask" / "questions.jsonl").read_text().splitlines())
    looked = {done for done, _ in told if questions < done < told[-1][1]}
    assert len(looked) > 1, "looking at what is known is told step by step"


@pytest.mark.parametrize(
    ("listing", "strong", "grounded", "spans"),
    [(10**12, 10**12, True, False), (1, 10**12, True, True), (1, 1, False, True)],
)
def test_a_small_teachers_answers_must_be_grounded_and_the_smallests_give_a_known_fact(
    make_inputs: MakeInputs,
    folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    listing: int,
    strong: int,
    grounded: bool,
    spans: bool,
) -> None:
    monkeypatch.setattr("worker.stages.answer.LISTING_MODEL", listing)
    monkeypatch.setattr("worker.stages.teaching.STRONG_MODEL", strong)
    seen: list[Answering] = []

    async def watched(*given: Any) -> Answered:
        seen.append(given[5])
        return await answering.answer(*given)

    monkeypatch.setattr("worker.stages.answer.answer", watched)
    inputs = make_inputs(TEXT)
    read.run(inputs, folder("read"), lambda *_: None)
    ask.run(inputs, folder("ask"), lambda *_: None)
    answer.run(inputs, folder("answer"), lambda *_: None)
    assert {(each.grounded, each.spans) for each in seen} == {(grounded, spans)}


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


def test_a_childs_pairs_to_rehearse_are_left_beside_its_own(
    make_inputs: MakeInputs, folder: Callable[[str], Path], tmp_path: Path
) -> None:
    parent = tmp_path / "parent"
    for stage in ("read", "answer"):
        (parent / stage).mkdir(parents=True)
    passage = {"id": "p0001", "document_id": "doc_0", "title": "T", "heading": None, "text": "Old.", "focus": "Old."}
    (parent / "read" / "passages.jsonl").write_text(json.dumps(passage) + "\n")
    pair = {"id": "a00001", "passage_id": "p0001", "question": "Old?", "answer": "Old.", "split": "train"}
    (parent / "answer" / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    inputs = replace(make_inputs(TEXT), parent=Parent("adp_0", ("doc_0",), (), parent))
    read.run(inputs, folder("read"), lambda *_: None)
    ask.run(inputs, folder("ask"), lambda *_: None)
    summary = answer.run(inputs, folder("answer"), lambda *_: None)
    (kept,) = map(json.loads, (folder("answer") / "rehearsed.jsonl").read_text().splitlines())
    assert kept == {**pair, "id": "adp_0/a00001", "passage_id": "adp_0/p0001", "rehearsed_from": "adp_0"}
    assert summary["rehearsed"] == 1
    own = (folder("answer") / "pairs.jsonl").read_text().splitlines()
    assert len(own) == summary["pairs"]
    assert "Old?" not in {json.loads(line)["question"] for line in own}


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
