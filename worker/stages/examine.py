"""The examine stage: what was learnt, fact by fact, on questions that no training saw, and what moved elsewhere."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.grading import is_right
from worker.distillation import drift, retention
from worker.distillation.generation import greedy
from worker.distillation.prompts import student_messages
from worker.distillation.student import Student, choose_device, choose_dtype, load_student, use_all_cores
from worker.grading import agrees
from worker.pairs.records import read_lines
from worker.stages import Progress, StageInputs, old_knowledge, rehearsal
from worker.stages.teaching import Teaching

MOST_QUESTIONS = 32  # spread over the document; a larger document is examined on a sample
ANSWER_TOKENS = 40


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Examine the adapter. Writes `report.json`."""
    use_all_cores()
    device = choose_device()
    adapter = inputs.artefacts / "distil" / "adapter"
    student = load_student(inputs.base_model, adapter, device, choose_dtype(device))
    held_out = _held_out(inputs.artefacts / "answer" / "pairs.jsonl")
    teaching = Teaching(rehearsal.all_passages(inputs), inputs.base_model)
    targets = _targets(inputs.artefacts / "ask" / "questions.jsonl")
    items = _items(student, held_out, teaching, targets, progress)
    unrelated = retention.keep(student, list(retention.prompts("drift")))
    progress(4, 5)
    moved = drift.measure(student, unrelated)
    report: dict[str, Any] = {
        "recall": _recall(items),
        "items": items,
        "drift": round(moved.nats, 5),
        "general": {
            "prompts": len(unrelated),
            "tokens": moved.tokens,
            "same_first_choice": round(moved.same_first_choice, 4),
        },
    }
    if inputs.parent:
        old = _held_out(inputs.artefacts / "answer" / rehearsal.PAIRS)
        old_items = _items(student, old, teaching, {pair["question"]: pair["target"] for pair in old}, lambda *_: None)
        report["old"] = old_knowledge.section(inputs.parent, _recall(old_items), old_items)
    (out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    progress(5, 5)
    summary = {"recall": report["recall"], "drift": report["drift"], "general": report["general"]}
    return {**summary, "old": report["old"]["recall"]} if inputs.parent else summary


def _held_out(file: Path) -> list[dict[str, Any]]:
    """The pairs to examine on: each question once, with its greedy reference answer."""
    pairs = [pair for pair in read_lines(file) if pair["split"] == "held_out" and not pair["sampled"]]
    step = max(1.0, len(pairs) / MOST_QUESTIONS)
    return [pairs[int(index * step)] for index in range(min(len(pairs), MOST_QUESTIONS))]


def _items(
    student: Student,
    pairs: list[dict[str, Any]],
    teaching: Teaching,
    targets: Mapping[str, str | None],
    progress: Progress,
) -> list[dict[str, Any]]:
    """Each question with what base model, teacher and adapter answer to it, and whether that is right."""
    answers = _answers(student, pairs, teaching, progress)
    return [
        {
            "question": pair["question"],
            "expected": pair["answer"],
            **{
                who: {"answer": said[index], "right": _is_right(said[index], targets.get(pair["question"]), pair)}
                for who, said in answers.items()
            },
        }
        for index, pair in enumerate(pairs)
    ]


def _recall(items: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {
        who: {"right": sum(item[who]["right"] for item in items), "of": len(items)}
        for who in ("base", "teacher", "adapter")
    }


def _answers(
    student: Student, pairs: list[dict[str, Any]], teaching: Teaching, progress: Progress
) -> dict[str, list[str]]:
    """What base model, teacher and adapter answer to each question, in the pairs' order."""
    closed = [student.renderer.prompt(student_messages(pair["question"])) for pair in pairs]
    opened = [student.renderer.prompt(teaching.messages(pair["passage_id"], pair["question"])) for pair in pairs]
    with student.as_base():
        base = greedy(student, closed, ANSWER_TOKENS)
        progress(1, 5)
        teacher = greedy(student, opened, ANSWER_TOKENS)
        progress(2, 5)
    adapter = greedy(student, closed, ANSWER_TOKENS)
    progress(3, 5)
    told = {"base": base, "teacher": teacher, "adapter": adapter}
    return {who: [answer.text for answer in said] for who, said in told.items()}


def _is_right(answer: str, target: str | None, pair: dict[str, Any]) -> bool:
    """By the fact that was asked for where it is known, else by the reference answer."""
    return is_right(answer, [target]) if target else agrees(answer, pair["answer"])


def _targets(file: Path) -> dict[str, str | None]:
    return {question["question"]: question["target"] for question in read_lines(file)}
