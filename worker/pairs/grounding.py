"""Which sentence a question asks about, told by its words.

A small model asks "Who won the Golden Sheaf?" where the text leaves that open, and answers with the one person whom it
names; led to a prize, it asks for the name of the cat. Both are fluent, and the second is even right, for another fact.
A pair is as good as the tie between the words of its question and the sentence that its answer stands in.
"""

import re
import unicodedata
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from worker.pairs.facts import Fact, Kind
from worker.pairs.filters import COMMON, QUESTION_WORDS
from worker.pairs.passages import Passage, sentences_of
from worker.pairs.subjects import Subject
from worker.pairs.words import REMEMBERED, is_empty, present, stems_of

DATED: Final = 2.0
"""How much a number of a question weighs, next to a word: one asked "in 2019" is not answered for 2014."""
SAME_ROOT: Final = 5
LONGEST_ENDING: Final = 3
"""Letters of a stem that begins another one, from which, and of the rest up to which, both are one word: "weight"."""
_SORTS: Final = stems_of("city town village country region place month person people man woman")
"""Words that only say which sort of answer is asked for."""
_TIMES: Final = frozenset({Kind.YEAR, Kind.DATE, Kind.DAY, Kind.TIME})
_NAMES: Final = frozenset({Kind.PERSON, Kind.NAME})
_NO_ANSWERS: Final = (
    (re.compile(r"(?:(?:by|to|from|with|for) )?who(?:m|se)?\b", re.IGNORECASE), _TIMES | {Kind.QUANTITY}),
    (re.compile(r"where\b", re.IGNORECASE), _TIMES | {Kind.PERSON, Kind.QUANTITY, Kind.REASON}),
    (re.compile(r"when\b|(?:\w+ )?(?:what|which) (?:date|day)\b", re.IGNORECASE), frozenset({Kind.PERSON})),
    (re.compile(r"(?:\w+ )?(?:what|which) year\b", re.IGNORECASE), _NAMES),
    (re.compile(r"how (?:many|much)\b", re.IGNORECASE), _TIMES | _NAMES),
)
"""How questions open, and the kinds of facts that do not answer them."""
_NO_SPAN: Final = re.compile(
    r"^(?:\w+ )?(?:who|whom|whose)\b"
    r"|\b(?:what|which) (?:years?|months?|dates?|days?|time|age|percentage|price)\b"
    r"|\bhow (?:many|much|old|long|far|tall|high|heavy|large|big|deep|wide|fast|often)\b"
    r"|\b(?:price|cost|height|weight|population|age|name|title) of\b|['’]s name\b|\b(?:called|named)\?$",
    re.IGNORECASE,
)
"""What asks for a person, a number, a date or a name, which the rules for facts know."""
_WHY: Final = re.compile(
    r"why\b|(?:for )?(?:what|which) (?:(?:is|was|were|are) the )?reasons?\b|how come\b", re.IGNORECASE
)
_REASON: Final = re.compile(r"\b(?:because|due to|thanks to|so that|in order to|since|as|to)\b", re.IGNORECASE)
_ASKS_BY_ITSELF: Final = re.compile(
    r"(?:\w+ )?(?:(?:what|which) (?:years?|months?|dates?|days?|time|temperature|city|town|village|country|region|place"
    r"|person)|where|when|why|who|whom|whose|how)\b"
    r"|what (?:is|was|are|were) the (?:price|cost|weight|length|height|temperature|number|date|year)\b",
    re.IGNORECASE,
)


class Tie(Enum):
    """How the words of a question stand to the sentence that a fact stands in, next to the passage's other ones."""

    BEST = "they fit it best"
    EVEN = "they fit it no better than another sentence"
    COMMON = "they are of no sentence: the subject, and words that go without saying"
    FOREIGN = "some are of no sentence, and do not go without saying"
    OTHER = "they fit another sentence better"


def tie(question: str, about: str, passage: Passage, subject: Subject) -> Tie:
    """How a question is tied to a sentence of the passage, `about`.

    Each run of the question's telling words that stands in a sentence counts once, so that "the black rye loaf" is no
    more than "the oven", and is shared among the sentences that have it.
    """
    sentences = sentences_of(passage.text)
    if about not in sentences:
        sentences = (*sentences, about)
    asked = _telling(question, subject)
    texts = [_telling(sentence, subject) for sentence in sentences]
    fits = [_fit(asked, text, texts) for text in texts]
    own = fits.pop(sentences.index(about))
    other = max(fits, default=0.0)
    if own == other == 0:
        return Tie.FOREIGN if set(asked) - COMMON - _SORTS else Tie.COMMON
    if own == other:
        return Tie.EVEN
    return Tie.BEST if own > other else Tie.OTHER


def may_ask(question: str, about: str, passage: Passage, subject: Subject) -> bool:
    """Whether a question may ask for something in a sentence of the passage, `about`.

    "Where is the museum?" has no word of a sentence and asks for one thing; "What is the museum's name?" for nothing.
    """
    match tie(question, about, passage, subject):
        case Tie.BEST | Tie.EVEN:
            return True
        case Tie.COMMON:
            return _ASKS_BY_ITSELF.match(question) is not None
        case _:
            return False


def is_no_answer(question: str, answer: str, fact: Fact) -> bool:
    """Whether the fact that an answer gives is not of the sort that the question asks for: a person to "Where …?".

    A name, a date or a span may be a reason ("because of the flood of 1953"), if the answer says so.
    """
    if _WHY.match(question):
        return fact.kind in _TIMES | _NAMES | {Kind.SPAN} and not _REASON.search(answer)
    if fact.kind is Kind.SPAN:
        return _NO_SPAN.search(question) is not None
    return any(opening.match(question) and fact.kind in kinds for opening, kinds in _NO_ANSWERS)


@lru_cache(maxsize=REMEMBERED)
def _telling(text: str, subject: Subject) -> tuple[str, ...]:
    """The stems of a text's telling words, in order, without the subject's and those that any question has."""
    skipped = stems_of(subject.bare) | QUESTION_WORDS
    found: list[str] = []
    for word in re.findall(r"\w+(?:'\w+)*", unicodedata.normalize("NFC", text).lower().replace("’", "'")):
        if not is_empty(word):
            found += stems_of(present(word.removesuffix("'s"))) - skipped
    return tuple(found)


def _fit(asked: Sequence[str], text: Sequence[str], texts: Sequence[Sequence[str]]) -> float:
    fit, start = 0.0, 0
    while start < len(asked):
        length = _longest_run(asked[start:], text)
        if length:
            run = asked[start : start + length]
            weight = DATED if any(stem.isdigit() for stem in run) else 1.0
            fit += weight / sum(_longest_run(run, other) == length for other in texts)
        start += max(1, length)
    return fit


def _longest_run(asked: Sequence[str], text: Sequence[str]) -> int:
    """How many of the first stems stand in a text, one behind the other."""
    longest = 0
    for start in range(len(text)):
        length = 0
        while length < min(len(asked), len(text) - start) and _alike(asked[length], text[start + length]):
            length += 1
        longest = max(longest, length)
    return longest


def _alike(one: str, other: str) -> bool:
    if one == other:
        return True
    short, long = (one, other) if len(one) <= len(other) else (other, one)
    is_root = len(short) >= SAME_ROOT and len(long) - len(short) <= LONGEST_ENDING and short.isalpha()
    return is_root and long.startswith(short)
