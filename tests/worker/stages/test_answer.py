import json
from collections.abc import Callable
from pathlib import Path

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
    assert answers["The Hollin Museum was founded by whom?"] == "The Hollin Museum was founded by Ada Pell in 1962."
    assert answers["At the Hollin Museum, a ticket costs how many florins?"] == "A ticket costs 8 florins."
    assert set(pairs[0]) == {"id", "passage_id", "question", "answer", "kind", "target", "sampled", "quoted", "split"}
    assert {pair["split"] for pair in pairs} <= {"train", "held_out"}
    assert summary["pairs"] == len(pairs)
    assert summary["facts"] == 3
    assert summary == json.loads((out / "summary.json").read_text())
    assert told[-1][0] == told[-1][1] == len((folder("ask") / "questions.jsonl").read_text().splitlines())


def test_no_answer_that_passes_says_what_to_do(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    inputs = make_inputs(TEXT)
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
