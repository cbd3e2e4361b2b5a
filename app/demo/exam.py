"""The demo itself: who answers what, before and after a document was taught."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from app.api_client import IngrainClient
from app.demo.questions import Question
from app.grading import is_right

_AT_ONCE = 6  # the engine answers several together faster than one after another
_LONGEST_ANSWER = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, graded."""

    text: str
    right: bool


Answers = Sequence[Answer]


@dataclass(frozen=True, slots=True)
class Before:
    """What the base model answers before anything was taught."""

    base: Answers
    teacher: Answers
    general: Answers


@dataclass(frozen=True, slots=True)
class After:
    """What the adapter answers, closed-book."""

    adapter: Answers
    general: Answers


def ask_all(
    client: IngrainClient, model: str, questions: Sequence[Question], prompt_of: Callable[[str], str] = str
) -> Answers:
    """The likeliest answer of `model` to each question, graded. `prompt_of` makes the prompt from the question."""

    def ask(question: Question) -> Answer:
        messages = [{"role": "user", "content": prompt_of(question.question)}]
        text = client.chat(model, messages, temperature=0, max_tokens=_LONGEST_ANSWER).strip()
        return Answer(text, is_right(text, question.accepted))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask, questions))


def with_document(document: str) -> Callable[[str], str]:
    """Prompts as the teacher gets them: the document first, so that the engine reads it once, then the question."""
    return lambda question: f"{document.strip()}\n\n{question}"


def count_right(answers: Answers) -> int:
    """How many are right."""
    return sum(answer.right for answer in answers)


def result(
    before: Before, after: After, *, seconds: dict[str, float], pairs: int, model: str, seed: int, effort: str
) -> dict[str, Any]:
    """What `ingrain demo --json` writes."""
    return {
        "questions": len(before.base),
        "base_right": count_right(before.base),
        "teacher_right": count_right(before.teacher),
        "adapter_right": count_right(after.adapter),
        "general_questions": len(before.general),
        "general_before": count_right(before.general),
        "general_after": count_right(after.general),
        "seconds": {stage: round(took, 2) for stage, took in seconds.items()},
        "pairs": pairs,
        "model": model,
        "seed": seed,
        "effort": effort,
    }
