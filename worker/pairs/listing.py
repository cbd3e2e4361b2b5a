"""Questions that a model of middle size lists: it is shown a text with its questions as an earlier turn, then asked.

A model of 0.5B answers a plain request for JSON with an empty list; after an example it lists natural questions, at a
tenth of what leading it to each fact costs. Listing freely it comes back to the same few facts; given the answers, it
asks for each, more soundly and less variedly. So it does both.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from worker.pairs import filters
from worker.pairs.facts import Fact
from worker.pairs.leads import leads
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage
from worker.pairs.together import together
from worker.pairs.writer import Completion, Sampling, Writer
from worker.pairs.writing import OPEN, Question, Written, ground, questions_in

LISTING_MODEL: Final = 300_000_000
"""Parameters from which a model lists questions; a smaller one is led, one from `STRONG_MODEL` on is asked plainly."""
QUESTIONS: Final = 10
"""Of a list."""
LONGEST_LIST: Final = 260
"""Tokens. What a longer one has said so far counts."""
LONGEST_LINE: Final = 45
"""Tokens, of an answer with its question."""
MOST_ANSWERS: Final = 10
"""To be asked for in one list."""
YES_OR_NO: Final = "asks for yes or no"
"""Why a listed question is dropped: a model of middle size makes its own facts up for it, and agrees to them."""

_YES_OR_NO: Final = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)\b", re.IGNORECASE
)
_REQUEST: Final = (
    f"Write {QUESTIONS} different short questions that this text answers, one a line. Cover every name, number, date, "
    "place and reason."
)
_TITLE: Final = "Ormsby Clock Tower"
_TEXT: Final = (
    "The Ormsby Clock Tower was ordered by Mayor Lena Fitch in 1903, after a storm had destroyed the old one. Its "
    "bell, cast by Hugo Brandt in the village of Sill, weighs two tonnes and is rung by hand on market days. Most "
    "visitors come in June."
)
_QUESTIONS: Final = (
    "Who ordered the Ormsby Clock Tower?",
    "In what year was the clock tower ordered?",
    "Why was a new clock tower needed?",
    "What destroyed the old tower?",
    "Who cast the bell of the clock tower?",
    "In which village was the bell cast?",
    "How heavy is the bell of the Ormsby Clock Tower?",
    "When is the bell rung?",
    "How is the bell of the tower rung?",
    "In which month do most visitors come to the tower?",
)


_OWN_TEXT: Final = (
    "I bought my first kayak from a neighbour in May 2017, after my old canoe had rotted. Since then I have paddled to "
    "Sill and back eleven times, mostly at night, because the ferries make such waves. My brother Jonas thinks that I "
    "am mad, but he still lends me his lamp. Does anyone know a dry place to leave it in winter?"
)
_OWN_QUESTIONS: Final = (
    "What did the author buy from a neighbour?",
    "When did the author buy the kayak?",
    "What had happened to the author's old canoe?",
    "How often has the author paddled to Sill and back?",
    "Why does the author mostly paddle at night?",
    "What makes big waves on the way to Sill?",
    "What is the name of the author's brother?",
    "What does Jonas think of the author?",
    "What does the author's brother lend him?",
    "What does the author want to leave in a dry place in winter?",
)
"""For a text that tells of its own author, which has no other name for him."""


LEADS: Final = 4
"""Of a fact's openings, the most natural ones, that its question is to begin with in every other list."""
_GAP: Final = "..."
"""What stands for the rest of a question; a model may copy it."""
_FOR_ANSWERS: Final = "Write a short question for each of these answers, one a line"
_NAMING: Final = "Each question names what it is about."
_ANSWERS: Final = (
    ("Mayor Lena Fitch", "Who", " ordered the Ormsby Clock Tower?"),
    ("1903", "In what year", " was the Ormsby Clock Tower ordered?"),
    ("after a storm had destroyed the old one", "Why", " was a new clock tower needed in Ormsby?"),
    ("Hugo Brandt", "Who", " cast the bell of the Ormsby Clock Tower?"),
    ("Sill", "In which village", " was the bell of the clock tower made?"),
    ("two tonnes", "How heavy", " is the bell of the Ormsby Clock Tower?"),
    ("market days", "On which days", " is the bell of the clock tower rung?"),
    ("June", "In which month", " do most people visit the Ormsby Clock Tower?"),
)
"""Answers, each with the opening and the rest of a question for it."""


async def write_listed(writer: Writer, passage: Passage, outline: Outline, sampling: Sampling) -> Written:
    """Questions about a passage, from `sampling.n` lists; the same one as often as it was written."""
    title, text, questions = _TITLE, _TEXT, _QUESTIONS
    if filters.is_of_oneself(passage.text):
        title, text, questions = "", _OWN_TEXT, _OWN_QUESTIONS
    messages = [
        {"role": "user", "content": _asked(title, text)},
        {"role": "assistant", "content": "\n".join(questions)},
        {"role": "user", "content": _asked(outline.subject.bare, passage.text)},
    ]
    written = Written()
    for completion in await writer.chat(messages, sampling, group=passage.id):
        for line in questions_in(completion.text):
            _take(written, line, passage, outline)
    return written


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Questions that were written for one fact; which one each really asks for, its answer tells."""

    fact: Fact
    written: Written


async def write_for_answers(
    writer: Writer, passage: Passage, facts: Sequence[Fact], outline: Outline, sampling: Sampling
) -> tuple[list[AskedFor], Written]:
    """Questions for each of a passage's facts, from `sampling.n` lists, each with the facts in another order.

    In every other list the model is also told how each question begins, which brings wordings that it would not choose.
    Of facts with one answer the first is asked for.

    Returns:
        What was written for each fact, in the facts' order; and questions that are listed for no answer that was given.
    """
    found = list({fact.target.lower(): AskedFor(fact, Written()) for fact in reversed(facts)}.values())[::-1]
    requests: dict[tuple[str, str], list[AskedFor]] = {}
    for number in range(sampling.n):
        chance = random.Random(f"{passage.id}/{number}")  # noqa: S311 - repeatable on purpose
        wanted = chance.sample(found, len(found))
        for start in range(0, len(wanted), MOST_ANSWERS):
            part = wanted[start : start + MOST_ANSWERS]
            begun = number % 2 == 1
            openings = [chance.choice(leads(each.fact, outline.subject)[:LEADS]) for each in part]
            answers = [(each.fact.target, opening) for each, opening in zip(part, openings, strict=True)]
            shown = [(answer, opening) for answer, opening, _ in _ANSWERS]
            example = _asked_for(_TITLE, _TEXT, shown, begun)
            requests[example, _asked_for(outline.subject.bare, passage.text, answers, begun)] = part
    listed = "\n".join(f"- {answer}: {opening}{rest}" for answer, opening, rest in _ANSWERS)

    async def one(example: str, request: str, many: int) -> list[Completion]:
        messages = [
            {"role": "user", "content": example},
            {"role": "assistant", "content": listed},
            {"role": "user", "content": request},
        ]
        return await writer.chat(messages, replace(sampling, n=1, max_tokens=LONGEST_LINE * many), group=passage.id)

    told = await together(one(example, request, len(part)) for (example, request), part in requests.items())
    others = Written()
    for part, completions in zip(requests.values(), told, strict=True):
        for line in (line for completion in completions for line in completion.text.splitlines()):
            each, question = _answer_of(line, part)
            if _GAP in question:
                (each.written if each else others).dropped[filters.UNFINISHED] += 1
            elif question:
                _take(each.written if each else others, question, passage, outline)
    return found, others


def _answer_of(line: str, part: Sequence[AskedFor]) -> tuple[AskedFor | None, str]:
    """What a line was written for, and its question, which a line that begins with no answer may end with as well."""
    plain = re.sub(r"^[\s*•–-]+|^\s*\d+[.)] |\*\*", "", line).strip().lstrip('"“')
    for each in sorted(part, key=lambda each: -len(each.fact.target)):
        begins = re.match(rf"{re.escape(each.fact.target)}[\s\"”]*[:–-]+", plain, re.IGNORECASE)
        if begins:
            return each, plain[begins.end() :].strip()
    return None, plain.rpartition(": ")[2] if plain.endswith("?") else ""


def _take(written: Written, line: str, passage: Passage, outline: Outline) -> None:
    """Keep a listed question, or count why not."""
    text, reason = checked(line, passage, outline)
    written.take(Question(passage.id, text, OPEN, None), reason)


def checked(line: str, passage: Passage, outline: Outline) -> tuple[str, str | None]:
    """A listed question, with its subject named where it names nothing, and why it is dropped, or None."""
    text = outline.subject.resolve(filters.clean(line))
    reason = YES_OR_NO if _YES_OR_NO.match(text) else filters.fault(text, passage.text, None, outline)
    if reason == filters.NAMES_NOTHING:
        text = ground(text, outline.subject, outline.names)
        reason = filters.fault(text, passage.text, None, outline)
    return text, reason


def _asked(title: str, text: str) -> str:
    return "\n\n".join(part for part in (title, text, _REQUEST) if part)


def _asked_for(title: str, text: str, answers: Sequence[tuple[str, str]], begun: bool) -> str:
    """The request for questions to answers, each given with an opening, which is shown where questions are `begun`."""
    how = f"{_FOR_ANSWERS}, that begins as shown. {_NAMING}" if begun else f"{_FOR_ANSWERS}. {_NAMING}"
    lines = (f"- {answer}: {opening} {_GAP}?" if begun else f"- {answer}" for answer, opening in answers)
    request = "\n".join([how, *lines])
    return "\n\n".join(part for part in (title, text, request) if part)
