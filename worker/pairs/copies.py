"""Copies among the questions of pairs, which are known only once an answer tells what an open question asks for."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from worker.likeness import is_near_copy
from worker.pairs import filters
from worker.pairs.answering import Pair
from worker.pairs.writing import BY_RULE, TURNED


def without_copies(pairs: Sequence[Pair], dropped: Counter[str]) -> list[Pair]:
    """The pairs without those whose question a model wrote as a near copy of one for the same fact.

    Each question that goes is counted once in `dropped`, with all of its pairs. Sentences to complete and the like are
    no questions in form, which word vectors do not see: they are nobody's copy, and have none.
    """
    asked: defaultdict[object, list[str]] = defaultdict(list)
    for pair in pairs:
        texts = asked[pair.question.passage_id, pair.question.fact]
        if pair.question.kind == TURNED and pair.question.text not in texts:
            texts.append(pair.question.text)
    copies: set[tuple[str, str]] = set()
    for pair in pairs:
        question = pair.question
        texts = asked[question.passage_id, question.fact]
        if (
            question.fact is None
            or question.kind in BY_RULE
            or question.text in texts
            or (question.passage_id, question.text) in copies
        ):
            continue
        if any(is_near_copy(question.text, other) for other in texts):
            copies.add((question.passage_id, question.text))
        else:
            texts.append(question.text)
    dropped[filters.NEAR_DUPLICATE] += len(copies)
    return [pair for pair in pairs if (pair.question.passage_id, pair.question.text) not in copies]
