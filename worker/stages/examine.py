"""The examine stage: what was learnt, fact by fact, on questions that no training saw, and what was forgotten."""

import json
from pathlib import Path
from typing import Any

from app.grading import is_right
from worker.distillation.generation import greedy
from worker.distillation.prompts import student_messages
from worker.distillation.student import Student, choose_device, choose_dtype, load_student, use_all_cores
from worker.grading import agrees
from worker.pairs.records import passages_from, read_lines
from worker.stages import Progress, StageInputs, retained
from worker.stages.teaching import Teaching

MOST_QUESTIONS = 32  # spread over the document; a larger document is examined on a sample
ANSWER_TOKENS = 40
STEPS = 4 + retained.STEPS


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Examine the adapter. Writes `report.json`."""
    use_all_cores()
    device = choose_device()
    adapter = inputs.artefacts / "distil" / "adapter"
    student = load_student(inputs.base_model, adapter, device, choose_dtype(device))
    held_out = _held_out(inputs.artefacts / "answer" / "pairs.jsonl")
    passages = passages_from(inputs.artefacts / "read" / "passages.jsonl")
    answers = _answers(student, held_out, Teaching(passages, inputs.base_model), progress)
    targets = _targets(inputs.artefacts / "ask" / "questions.jsonl")
    items = [
        {
            "question": pair["question"],
            "expected": pair["answer"],
            **{
                who: {"answer": said[index], "right": _is_right(said[index], targets.get(pair["question"]), pair)}
                for who, said in answers.items()
            },
        }
        for index, pair in enumerate(held_out)
    ]
    retention = retained.measure(student, inputs, lambda done: progress(3 + done, STEPS))
    report = {
        "recall": {
            who: {"right": sum(item[who]["right"] for item in items), "of": len(items)}
            for who in ("base", "teacher", "adapter")
        },
        "items": items,
        "retention": retention,
    }
    (out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    progress(STEPS, STEPS)
    return {"recall": report["recall"], "retention": {name: retention[name] for name in retention if name != "lost"}}


def _held_out(file: Path) -> list[dict[str, Any]]:
    """The pairs to examine on: each question once, with its greedy reference answer."""
    pairs = [pair for pair in read_lines(file) if pair["split"] == "held_out" and not pair["sampled"]]
    step = max(1.0, len(pairs) / MOST_QUESTIONS)
    return [pairs[int(index * step)] for index in range(min(len(pairs), MOST_QUESTIONS))]


def _answers(
    student: Student, pairs: list[dict[str, Any]], teaching: Teaching, progress: Progress
) -> dict[str, list[str]]:
    """What base model, teacher and adapter answer to each question, in the pairs' order."""
    closed = [student.renderer.prompt(student_messages(pair["question"])) for pair in pairs]
    opened = [student.renderer.prompt(teaching.messages(pair["passage_id"], pair["question"])) for pair in pairs]
    with student.as_base():
        base = greedy(student, closed, ANSWER_TOKENS)
        progress(1, STEPS)
        teacher = greedy(student, opened, ANSWER_TOKENS)
        progress(2, STEPS)
    adapter = greedy(student, closed, ANSWER_TOKENS)
    progress(3, STEPS)
    told = {"base": base, "teacher": teacher, "adapter": adapter}
    return {who: [answer.text for answer in said] for who, said in told.items()}


def _is_right(answer: str, target: str | None, pair: dict[str, Any]) -> bool:
    """By the fact that was asked for where it is known, else by the reference answer."""
    return is_right(answer, [target]) if target else agrees(answer, pair["answer"])


def _targets(file: Path) -> dict[str, str | None]:
    return {question["question"]: question["target"] for question in read_lines(file)}
