"""What a model answers from texts in its prompt, so that an adapter does not unlearn to read.

An adapter that was only taught to answer from memory does so beside retrieved passages too, and then reads less well
than its base model. The texts that ship with the package are invented, so no memory helps with them. They are put much
as retrieval puts passages: one to three, the question last, half of them with the teacher's request for a short answer.
Some have a second one on their own subject, with other numbers and names, which stands beside them.
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
    """An invented text, its title (empty where it has none) and questions that it answers, as many as each has."""

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
    """The user's turns, in an order in which any beginning has all kinds: one question of each text, then another."""
    about = random.Random("reading").sample(texts(), len(texts()))  # noqa: S311 - the same each time on purpose
    return tuple(
        _task(text, text.questions[(index + turn) % len(text.questions)], briefly=(index + turn) % 2 == 1)
        for turn in range(len(about[0].questions))
        for index, text in enumerate(about)
    )


def _task(text: Text, question: str, briefly: bool) -> str:
    chance = random.Random(f"reading/{question}")  # noqa: S311 - the same each time on purpose
    others = chance.sample([other for other in texts() if other is not text], len(texts()) - 1)
    others.sort(key=lambda other: not text.title or other.title != text.title)  # those on the same subject first
    shown = [text, *others[: chance.randrange(MOST_TEXTS)]]
    chance.shuffle(shown)
    return beside("\n\n".join(each.shown for each in shown), question, briefly)
