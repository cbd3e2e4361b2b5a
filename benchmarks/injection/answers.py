"""What each way answers to the questions, kept in a file batch by batch."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from benchmarks.injection.data import Item
from benchmarks.injection.methods import Reading
from benchmarks.injection.steps import Tell
from worker.distillation.generation import ROWS, greedy
from worker.distillation.prompts import Message, student_messages, teacher_messages
from worker.distillation.student import Student

ANSWER_TOKENS: Final = 48


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers by their questions' ids, and the seconds that they took."""

    answers: dict[str, str]
    seconds: float


Find = Callable[[str], Sequence[int]]
"""The indices of the items whose passages suit a question, the best first."""


def chat(items: Sequence[Item], item: Item, question: str, reading: Reading, find: Find, shown: bool) -> list[Message]:
    """What the model is asked.

    Args:
        items: all that may be read.
        item: the question's own.
        question: as a person wrote it.
        reading: what is put before it.
        find: retrieval.
        shown: whether the model is shown examples of answers, as a weak teacher is.
    """
    match reading:
        case Reading.NOTHING:
            return student_messages(question)
        case Reading.ITS_PASSAGE:
            return teacher_messages(item.title, item.passage, question, shown)
        case Reading.FOUND:
            found = [items[index] for index in find(question)]
            text = "\n\n".join(each.shown for each in found)
            return teacher_messages("", text, question, shown)


def answer_all(
    student: Student, items: Sequence[Item], chats: dict[str, list[Message]], file: Path, tell: Tell
) -> None:
    """Answer every chat that the file has no answer to, and add the answers to it, by the questions' ids."""
    said = read_answers(file)
    missing = [asked.id for item in items for asked in item.questions if asked.id not in said.answers]
    prompts = {question: student.renderer.prompt(chats[question]) for question in missing}
    missing.sort(key=lambda question: len(prompts[question]))  # alike lengths: little padding
    for start in range(0, len(missing), ROWS):
        began = time.monotonic()
        batch = missing[start : start + ROWS]
        texts = [answer.text for answer in greedy(student, [prompts[each] for each in batch], ANSWER_TOKENS)]
        said = Answers(
            said.answers | dict(zip(batch, texts, strict=True)), round(said.seconds + time.monotonic() - began, 1)
        )
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(said), ensure_ascii=False, indent=0), encoding="utf-8")
        fresh.replace(file)
        tell(start + len(batch), len(missing))


def read_answers(file: Path) -> Answers:
    """The answers in a file; none where there is no such file."""
    return Answers(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else Answers({}, 0.0)
