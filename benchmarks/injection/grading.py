"""How an answer is graded: SQuAD's exact match and F1, and whether the answer holds a right one.

Normalised as SQuAD does it (lower case, no punctuation, no articles; Rajpurkar et al. 2016), with numbers in digits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.grading import normalise

_ARTICLES: Final = frozenset(("a", "an", "the"))


@dataclass(frozen=True, slots=True)
class Grade:
    """Of one answer, the best over the right ones.

    Attributes:
        holds: 1 if it holds a right answer as whole words, else 0. It is the accuracy that is reported.
        f1: of the tokens, 0..1.
        exact: 1 if it is a right answer, word for word, else 0.
    """

    holds: float
    f1: float
    exact: float


def grade(answer: str, right: Sequence[str]) -> Grade:
    """Grade an answer against those that count as right."""
    said = _words(answer)
    wanted = [words for words in map(_words, right) if words]
    return Grade(
        holds=float(any(_holds(said, words) for words in wanted)),
        f1=max((_f1(said, words) for words in wanted), default=0.0),
        exact=float(said in wanted),
    )


def _words(text: str) -> list[str]:
    return [word for word in normalise(text).split() if word not in _ARTICLES]


def _holds(said: list[str], wanted: list[str]) -> bool:
    return any(said[start : start + len(wanted)] == wanted for start in range(len(said) - len(wanted) + 1))


def _f1(said: list[str], wanted: list[str]) -> float:
    common = sum((Counter(said) & Counter(wanted)).values())
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)
