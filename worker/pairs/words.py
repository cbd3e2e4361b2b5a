"""Words of a text: which of them tell something, and what they are without their endings."""

import re
from functools import lru_cache
from typing import Final

_LETTERS = [letter for letter in map(chr, range(0x10000)) if letter.isalpha()]
CAPITAL: Final = f"[{''.join(letter for letter in _LETTERS if letter.isupper())}]"
"""One capital of any alphabet, in a regular expression, which has no class for it."""
SMALL: Final = f"[{''.join(letter for letter in _LETTERS if letter.islower())}]"
"""One small letter of any alphabet."""

REMEMBERED: Final = 1 << 13
"""Texts of which what was found is remembered: each question and sentence is looked at dozens of times. An entry takes
up to 14 KiB, for a passage of 200 words; most are questions and single words."""

_WORDS = re.compile(r"[\w']+")
_ENDING = re.compile(r"(?:ing|ed|es|s|e)$")
_EMPTY = frozenset(
    """
    a an the of in on at by for from with to and or but as that which who whom whose is are was were be been has have
    had it its his her their them they he she this these those not no than then when while where because since so if
    into inside under over about only also all each every both after before during until between up down out off
    nobody somebody everyone there here can could may might must will would should do does did gets get got made makes
    itself themselves once today
    """.split()  # noqa: SIM905
)


_PRESENT = {
    past: verb
    for verbs in """
    become became, begin began begun, break broke broken, bring brought, build built, buy bought, catch caught,
    choose chose chosen, come came, draw drew drawn, drive drove driven, eat ate eaten, fall fell fallen, fight fought,
    fly flew flown, give gave given, go went gone, grow grew grown, hold held, keep kept, know knew known, lead led,
    leave left, lose lost, make made, meet met, pay paid, ride rode ridden, ring rang rung, rise rose risen, run ran,
    say said, see saw seen, sell sold, send sent, sing sang sung, sit sat, sleep slept, speak spoke spoken, spend spent,
    stand stood, steal stole stolen, swim swam swum, take took taken, teach taught, tell told, think thought,
    throw threw thrown, wear wore worn, win won, write wrote written
    """.split(",")  # noqa: SIM905
    for verb, *pasts in [verbs.split()]
    for past in pasts
}

PASTS: Final = tuple(_PRESENT)
"""Irregular pasts of verbs."""


def present(word: str) -> str:
    """A verb as a question with "did" has it, of its irregular past: "won" -> "win"; any other word as it is."""
    return _PRESENT.get(word, word)


def is_empty(word: str) -> bool:
    """Whether a lower-case word tells nothing by itself."""
    return word in _EMPTY


@lru_cache(maxsize=REMEMBERED)
def content_words(text: str) -> frozenset[str]:
    """The telling words of a text, lower case."""
    return frozenset(word for word in _WORDS.findall(text.lower().replace("’", "'")) if word not in _EMPTY)


@lru_cache(maxsize=REMEMBERED)
def stems_of(text: str) -> frozenset[str]:
    """A text's words without articles and endings, so that "opened" is "open"."""
    words = _WORDS.findall(text.lower())
    return frozenset(_ENDING.sub("", word) for word in words if word not in {"the", "a", "an"})
