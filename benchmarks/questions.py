"""What the benchmarks ask: about the demo's document, with it and without it, and about other things."""

import itertools
from collections.abc import Iterator

from app.demo.questions import read_exam
from worker.distillation.prompts import Message, student_messages
from worker.distillation.retention import prompts


def questions() -> list[str]:
    """41 questions: the demo's own 12, its 5 general ones, and 24 that no adapter is trained on."""
    exam = read_exam(None, None)
    return [each.question for each in (*exam.questions, *exam.general)] + list(prompts("drift"))


def numbered_questions() -> Iterator[str]:
    """The questions over and over, each with a number of its own in front."""
    return (f"{number}. {question}" for number, question in enumerate(itertools.cycle(questions())))


def chats() -> list[list[Message]]:
    """53 chats: the questions as they are, and the demo's 12 behind its document."""
    exam = read_exam(None, None)
    behind = [f"{exam.document}\n\n{each.question}" for each in exam.questions]
    return [student_messages(asked) for asked in (*questions(), *behind)]
