"""What a base model knows anyway: 200 general questions that ship with the package and that no training ever sees.

What an adapter answers wrong of those that the base model answers right, it has made the model forget. The questions
are short and easy, so that a small model knows a good part of them; each has the keywords of which any one makes an
answer right. `retention` has the prompts that training keeps in place, which are other ones.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

ANSWER_TOKENS = 16  # of an answer: enough for a short sentence, which holds the keyword or will not


@dataclass(frozen=True, slots=True)
class Question:
    """A general question, and the keywords of which any one makes an answer right."""

    question: str
    accepted: tuple[str, ...]


@cache
def questions() -> tuple[Question, ...]:
    """The shipped questions, always in the same order."""
    content = json.loads(files("worker.distillation").joinpath("general_questions.json").read_text(encoding="utf-8"))
    return tuple(Question(item["question"], tuple(item["accepted"])) for item in content)
