"""The names, numbers and dates of a sentence, by patterns of their own: they measure what `facts.py` led to.

Each is a run of a sentence's words; a text tells it when it holds the whole run.
"""

import re
from dataclasses import dataclass

from worker.pairs.facts import DAYS, MONTHS, NUMBER_WORDS, is_oneself
from worker.pairs.subjects import Subject
from worker.pairs.words import CAPITAL, content_words

_DATE = re.compile(
    rf"\b(?:(?:\d{{1,2}} )?(?:{MONTHS})\b(?: \d{{1,2}}\b)?(?:,? \d{{4}}\b)?|(?:{DAYS})s?\b"
    r"|(?<![.,:$€£])(?:1\d|20)\d{2}s?\b(?![.,:]?\d))"
)
_NUMBER = re.compile(rf"(?<!\w)\d+(?:[.,:]\d+)*\w*|\b(?:{NUMBER_WORDS})\b", re.IGNORECASE)
_NAME = re.compile(rf"(?<!\w){CAPITAL}[\w’'-]*(?: (?:(?:of|de|van|von|der) )?{CAPITAL}[\w’'-]*)*")
_POSSESSIVE = re.compile(r"[’']s?$")


@dataclass(frozen=True, slots=True)
class Items:
    """What a sentence gives that can be asked for exactly, as it stands there."""

    names: frozenset[str]
    numbers: frozenset[str]
    dates: frozenset[str]


def items_of(sentence: str, subject: Subject) -> Items:
    """A sentence's names (its document's subject is none), numbers and dates.

    A capital that only opens the sentence makes no name; a number within a date is no number.
    """
    dates = {match.group() for match in _DATE.finditer(sentence)}
    rest = _DATE.sub(lambda match: " " * len(match.group()), sentence)
    return Items(frozenset(_names(rest, subject)), frozenset(_NUMBER.findall(rest)), frozenset(dates))


def tells(text: str, item: str) -> bool:
    """Whether a text holds an item's words, one after the other."""
    return f" {_plain(item)} " in f" {_plain(text)} "


def _names(sentence: str, subject: Subject) -> set[str]:
    own = content_words(subject.bare)
    found: set[str] = set()
    for match in _NAME.finditer(sentence):
        words = match.group().split(" ")
        before = sentence[: match.start()].rstrip()
        if not before or before[-1] in '.!?:;"“(•-':
            words = words[1:]  # "Visitors", "Each Keeper": any first word has a capital
        name = _POSSESSIVE.sub("", " ".join(words))
        if content_words(name) - own and not name.islower() and not is_oneself(name):
            found.add(name)
    return found


def _plain(text: str) -> str:
    words = re.findall(r"\d+(?:[.,:]\d+)+\w*|\w+", text.lower().replace("’", "'").replace("'s ", " "))
    return " ".join(words)
