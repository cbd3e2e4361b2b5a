"""What an adapter must not change: unrelated prompts that ship with the package, answered by the base model itself.

Many look just like questions about a document (who founded, how many, in what year) but are about other things: an
adapter without them answers everything with the facts it has learnt. One in five is a question on texts in the prompt,
which an adapter without them answers from memory.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice

from torch import Tensor

from worker.distillation import reading
from worker.distillation.forms import WORDING_SHARE, typed
from worker.distillation.generation import Answer
from worker.distillation.packing import Exchange
from worker.distillation.prompts import student_messages
from worker.distillation.student import Student
from worker.distillation.teacher import targets

TIMES = 1
"""How often a training goes over its retention prompts, as long as there are enough of them.

300 prompts once each hold better than 100 three times: of 200 general questions 4 are then answered with words of the
document, where 11 were, and the drift is 0.042 nats a token for 0.070 (SmolLM2, 157 pairs, 100 steps)."""
PART = 100
"""Prompts are taken, and their answers are kept on the machine, in parts of so many."""
PLAIN = 4
"""How many plain prompts there are to each one with texts to read."""
MOST_TOKENS = 24  # of an answer; a longer one is kept as far as it goes: nothing says that it ended there


@dataclass(frozen=True, slots=True)
class Kept:
    """An unrelated question, the base model's answer, and its last hidden states there: (answer tokens, D)."""

    question: str
    answer: str
    is_finished: bool
    exchange: Exchange
    target: Tensor


@cache
def prompts(purpose: str) -> tuple[str, ...]:
    """The shipped plain prompts: `train`; `unseen`, on which a trained adapter is held to a limit; or `drift`, which
    examine measures on and nothing else sees."""
    content = json.loads(files("worker.distillation").joinpath("retention_prompts.json").read_text(encoding="utf-8"))
    return tuple(content[purpose])


def prompts_for(draws: int, with_texts: bool = True) -> tuple[str, ...]:
    """The prompts of a training that draws one `draws` times: the longer it is, the more of them.

    Those that are gone over often are learnt by heart: after 1,716 steps with 99, each drawn 52 times, a model of 0.5B
    was 0.014 nats a token from the base model on them, and 0.30 on others.
    """
    return training_prompts(with_texts)[: PART * max(1, math.ceil(draws / TIMES / PART))]


def training_prompts(with_texts: bool = True) -> tuple[str, ...]:
    """All that trainings keep in place, in the order in which they take it; `with_texts`, those to read among it.

    As many questions are put as people type them as among the lessons: else small letters would mean the document.
    """
    chance = random.Random("retention")  # noqa: S311 - the same each time on purpose
    tasks = iter(reading.tasks() if with_texts else ())
    ordered: list[str] = []
    for number, prompt in enumerate(prompts("train"), 1):
        ordered.append(typed(prompt, chance) if chance.random() < WORDING_SHARE else prompt)
        if number % PLAIN == 0:
            ordered += islice(tasks, 1)
    return tuple(ordered)


def keep(student: Student, questions: Sequence[str], answers: Sequence[Answer]) -> list[Kept]:
    """Note what the base model thinks at each token of its answers to the questions."""
    asked = [student.renderer.prompt(student_messages(question)) for question in questions]
    exchanges = [Exchange(prompt, answer.tokens) for prompt, answer in zip(asked, answers, strict=True)]
    wanted = targets(student, exchanges)
    return [
        Kept(question, answer.text, answer.is_finished, exchange, target)
        for question, answer, exchange, target in zip(questions, answers, exchanges, wanted, strict=True)
    ]
