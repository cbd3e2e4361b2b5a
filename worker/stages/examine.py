"""The examine stage: what was learnt, fact by fact, on questions that no training saw, and what was forgotten.

What can be reckoned from this, and what the job's record knows besides, is added when the report is read
(`app.adapters.reports`).
"""

import json
import random
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from worker.device import choose_device, choose_dtype
from worker.distillation.generation import Answer, greedy
from worker.distillation.prompts import Message, student_messages
from worker.distillation.student import Student, load_student, use_all_cores
from worker.grading import is_expected
from worker.pairs.held_out import in_rounds, most_held_out
from worker.pairs.records import read_lines
from worker.stages import Progress, StageInputs, old_knowledge, provenance, rehearsal, retained
from worker.stages.retrieval import Retrieval
from worker.stages.teaching import Teaching

MOST_QUESTIONS = 32  # or as many as answer holds out of several documents; of more, a sample that each has a part in
LEAST_LIMIT = 40
"""Tokens of an answer that count, or as many as its reference has: what is longer than the limit could not be met."""
WHO = ("base", "retrieval", "teacher", "adapter")


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Examine the adapter. Writes `report.json`."""
    use_all_cores()
    device = choose_device()
    adapter = inputs.artefacts / "distil" / "adapter"
    student = load_student(inputs.base_model, adapter, device, choose_dtype(device))
    teaching = Teaching(rehearsal.all_passages(inputs), inputs.base_model)
    held_out = _held_out(inputs.artefacts / "answer" / "pairs.jsonl", teaching, inputs.settings.seed)
    asking = len(WHO) * (2 if inputs.parent else 1)
    steps = asking + retained.STEPS + 1
    items = _items(student, held_out, teaching, lambda done: progress(done, steps))
    report: dict[str, Any] = {
        "recall": _recall(items),
        "items": items,
        "loss": provenance.losses(inputs.artefacts / "distil" / "training.json"),
        "versions": provenance.versions(),
    }
    if inputs.parent:
        old = _held_out(inputs.artefacts / "answer" / rehearsal.PAIRS, teaching, inputs.settings.seed)
        old_items = _items(student, old, teaching, lambda done: progress(len(WHO) + done, steps))
        report["old"] = old_knowledge.section(inputs.parent, _recall(old_items), old_items)
    retention = report["retention"] = retained.measure(student, inputs, lambda done: progress(asking + done, steps))
    (out / "report.json").write_text(json.dumps(report, ensure_ascii=False, indent=1), encoding="utf-8")
    progress(steps, steps)
    return {
        "recall": report["recall"],
        **({"old": report["old"]["recall"]} if inputs.parent else {}),
        "retention": {name: retention[name] for name in retention if name != "lost"},
    }


def _held_out(file: Path, teaching: Teaching, seed: int) -> list[dict[str, Any]]:
    """The pairs to examine on, in their order: each question once, with its greedy reference answer."""
    pairs = [pair for pair in read_lines(file) if pair["split"] == "held_out" and not pair["sampled"]]

    def document_of(place: int) -> str:
        return teaching.passages[pairs[place]["passage_id"]].document_id

    places = list(range(len(pairs)))
    most = max(MOST_QUESTIONS, most_held_out(len(set(map(document_of, places)))))
    if len(places) > most:
        random.Random(seed).shuffle(places)  # noqa: S311
        places = sorted(in_rounds(places, document_of)[:most])
    return [pairs[place] for place in places]


def _items(
    student: Student, pairs: list[dict[str, Any]], teaching: Teaching, tell: Callable[[int], None]
) -> list[dict[str, Any]]:
    """Each question with what everyone answers to it, and whether that is right, in the pairs' order."""
    questions = [pair["question"] for pair in pairs]
    retrieval = Retrieval(teaching)
    found = [retrieval.find(question) for question in questions]
    chats = {
        "base": [student_messages(question) for question in questions],
        "retrieval": [retrieval.messages(*each) for each in zip(found, questions, strict=True)],
        "teacher": [teaching.messages(pair["passage_id"], pair["question"]) for pair in pairs],
        "adapter": [student_messages(question) for question in questions],
    }
    limits = [max(LEAST_LIMIT, len(student.renderer.answer(pair["answer"]))) for pair in pairs]
    said = _answers(student, chats, limits, tell)
    items = []
    for index, pair in enumerate(pairs):
        passage = teaching.passages[pair["passage_id"]]
        item: dict[str, Any] = {
            "question": pair["question"],
            "expected": pair["answer"],
            "passage_id": passage.id,
            "document_id": passage.document_id,
            "document": passage.title,
        }
        for who in WHO:
            answer = said[who][index]
            item[who] = {"answer": answer, "right": is_expected(answer, pair["answer"], _accepted(pair))}
        has_it = passage.id in {each["passage_id"] for each in found[index]}
        item["retrieval"] |= {"found": has_it, "passages": found[index]}
        items.append(item)
    return items


def _recall(items: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    return {who: {"right": sum(item[who]["right"] for item in items), "of": len(items)} for who in WHO}


def _answers(
    student: Student, chats: dict[str, list[list[Message]]], limits: Sequence[int], tell: Callable[[int], None]
) -> dict[str, list[str]]:
    """What everyone answers to their chats, each in up to so many tokens, told as each is done.

    All but the adapter are the base model.
    """
    said = {}
    for number, who in enumerate(WHO, 1):
        prompts = [student.renderer.prompt(chat) for chat in chats[who]]
        with nullcontext() if who == "adapter" else student.as_base():
            answers = greedy(student, prompts, max(limits, default=LEAST_LIMIT))
        said[who] = [_within(student, answer, limit) for answer, limit in zip(answers, limits, strict=True)]
        tell(number)
    return said


def _within(student: Student, answer: Answer, limit: int) -> str:
    if len(answer.tokens) <= limit:
        return answer.text
    text: str = student.renderer.tokenizer.decode(answer.tokens[:limit], skip_special_tokens=True)
    return text.strip()


def _accepted(pair: dict[str, Any]) -> list[str]:
    """What a right answer holds one of, where that is known; pairs of an older release have their target alone."""
    accepted: list[str] = pair.get("accepted") or [pair["target"]] * bool(pair["target"])
    return accepted
