"""Copies among the questions of pairs, which are known only once an answer tells what an open question asks for.

They are told by words and by meaning; how many are left is measured by letters.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from worker.grading import agrees
from worker.likeness import is_near_copy
from worker.pairs import filters
from worker.pairs.answering import Pair
from worker.pairs.writing import BY_RULE, TURNED

ALIKE = 0.8
"""Jaccard index of two questions' letters in threes above which `share_alike` counts them."""


def without_copies(pairs: Sequence[Pair], dropped: Counter[str]) -> list[Pair]:
    """The pairs without those whose question a model wrote as a near copy of one for the same fact.

    Each question that goes is counted once in `dropped`, with all of its pairs. Sentences to complete and the like are
    no questions in form, which word vectors do not see: they are nobody's copy, and have none. Questions for several
    facts are compared where their answers say the same.
    """
    asked: defaultdict[object, list[str]] = defaultdict(list)
    of_several: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        texts = asked[pair.question.passage_id, pair.question.fact]
        if pair.question.kind == TURNED and pair.question.text not in texts:
            texts.append(pair.question.text)
    copies: set[tuple[str, str]] = set()
    for pair in pairs:
        question = pair.question
        texts = asked[question.passage_id, question.fact]
        if question.fact is None:
            earlier = of_several[question.passage_id]
            texts = [other.question.text for other in earlier if _say_the_same(pair, other)]
        if question.kind in BY_RULE or question.text in texts or (question.passage_id, question.text) in copies:
            continue
        if any(filters.has_its_words(question.text, other) or is_near_copy(question.text, other) for other in texts):
            copies.add((question.passage_id, question.text))
        else:
            texts.append(question.text)
            if question.fact is None:
                of_several[question.passage_id].append(pair)
    dropped[filters.NEAR_DUPLICATE] += len(copies)
    return [pair for pair in pairs if (pair.question.passage_id, pair.question.text) not in copies]


def share_alike(pairs: Iterable[Pair]) -> float:
    """The share of the questions that have four fifths of their letters, in threes, in common with an earlier one.

    Of those for the same fact; by another method than the one that drops copies, to see what that leaves.
    """
    earlier: defaultdict[object, dict[str, frozenset[str]]] = defaultdict(dict)
    alike = 0
    for pair in pairs:
        question = pair.question
        others = earlier[question.passage_id, question.target]
        if question.text not in others:
            threes = _threes(question.text)
            alike += any(len(threes & other) > ALIKE * len(threes | other) for other in others.values())
            others[question.text] = threes
    return alike / max(1, sum(map(len, earlier.values())))


def _threes(text: str) -> frozenset[str]:
    padded = f" {text.lower()} "
    return frozenset(padded[start : start + 3] for start in range(len(padded) - 2))


def _say_the_same(one: Pair, other: Pair) -> bool:
    return agrees(one.answer, other.answer) and agrees(other.answer, one.answer)
