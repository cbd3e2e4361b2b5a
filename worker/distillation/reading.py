"""What a model answers from texts in its prompt, so that an adapter does not unlearn to read.

An adapter that was only taught to answer from memory does so beside retrieved passages too, and then reads less well
than its base model. The texts that ship with the package are invented, so no memory helps with them, and they are put
as retrieval puts passages: one to three, the question last, every other time with the request for a short answer.
"""

import json
import random
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from worker.distillation.prompts import beside

MOST_TEXTS = 3  # in a prompt: the one that the question is about, and others


@dataclass(frozen=True, slots=True)
class Text:
    """An invented text, its title (empty where it has none) and questions that it answers."""

    title: str
    text: str
    questions: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The text as a prompt has it."""
        return f"{self.title}. {self.text}" if self.title else self.text


@cache
def texts() -> tuple[Text, ...]:
    """The shipped texts, always in the same order."""
    content = json.loads(files("worker.distillation").joinpath("reading_tasks.json").read_text(encoding="utf-8"))
    return tuple(Text(item["title"], item["text"], tuple(item["questions"])) for item in content)


@cache
def tasks() -> tuple[str, ...]:
    """The user's turns: each text's first question, then each one's second, and so on."""
    about = [(text, text.questions[place]) for place in range(len(texts()[0].questions)) for text in texts()]
    return tuple(_task(number, text, question) for number, (text, question) in enumerate(about))


def _task(number: int, text: Text, question: str) -> str:
    chance = random.Random(f"reading/{number}")  # noqa: S311 - the same each time on purpose
    others = [other for other in texts() if other is not text]
    shown = [text, *chance.sample(others, chance.randrange(MOST_TEXTS))]
    chance.shuffle(shown)
    return beside("\n\n".join(each.shown for each in shown), question, briefly=number % 2 == 1)
