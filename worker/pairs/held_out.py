"""Which questions no training sees, so that examine can ask them."""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TypeVar

from worker.grading import agrees, is_expected
from worker.likeness import is_near_copy
from worker.pairs import filters
from worker.pairs.answering import Pair
from worker.pairs.coverage import measure
from worker.pairs.passages import Passage
from worker.pairs.subjects import Subject
from worker.pairs.writing import BY_RULE

FEWEST_HELD_OUT, MOST_HELD_OUT, SHARE_HELD_OUT = 4, 24, 0.1
"""Of the questions of one document."""
ENOUGH = 4
"""Questions of a fact that can well spare one."""
MORE_A_DOCUMENT, MOST_OF_ALL = 2, 200
"""How the most grows with each further document, and where it stops: each is asked of four in the exam."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its answer, and the words that a right answer holds, where they are known."""

    question: str
    answer: str
    target: str | None


def is_asked(one: Asked, others: Iterable[Asked]) -> bool:
    """Whether a question is one of others, in its very words, or nearly in these and with the same answer."""
    return any(
        filters.similarity(one.question, other.question) == 1.0
        or (
            (filters.has_its_words(one.question, other.question) or is_near_copy(one.question, other.question))
            and _same_answer(one, other)  # the slowest comes last
        )
        for other in others
    )


def _same_answer(one: Asked, other: Asked) -> bool:
    if one.target is not None and other.target is not None:
        return one.target.lower() == other.target.lower()
    return agrees(one.answer, other.answer) or agrees(other.answer, one.answer)


def most_held_out(documents: int) -> int:
    """How many questions of that many documents are held out at most."""
    return min(MOST_OF_ALL, MOST_HELD_OUT + MORE_A_DOCUMENT * (documents - 1))


def in_rounds(items: Iterable[T], document_of: Callable[[T], str]) -> list[T]:
    """One item of each document first, then a second of each, and so on; of one document the items as they are."""
    by_document: defaultdict[str, list[T]] = defaultdict(list)
    for item in items:
        by_document[document_of(item)].append(item)
    wrapped = ([(item,) for item in those] for those in by_document.values())
    return [item for taken in chain.from_iterable(zip_longest(*wrapped, fillvalue=())) for item in taken]


def hold_out(
    pairs: Sequence[Pair], passages: Mapping[str, Passage], subjects: Mapping[str, Subject], seed: int
) -> list[Pair]:
    """Mark up to a tenth of the questions as held out: only ones whose fact other questions teach.

    Examine so measures what was learnt, not what was left out. A question whose own answer would not be right in the
    exam, as it gives its fact in other words, stays in training; so does one for several facts. Documents take turns,
    and each gives one where its facts allow. Facts with `ENOUGH` questions come first: those with three give no more
    than half of what is held out, those with two none where there are others, as training would miss one the most. A
    question that alone covers a sentence, or a name, number or date of it, stays in training. All pairs of a held-out
    question are held out; its greedy answer is what examine expects.
    """
    by_fact: defaultdict[tuple[str, object], set[str]] = defaultdict(set)
    unfit: set[str] = set()
    for pair in pairs:
        if pair.question.kind not in BY_RULE and not pair.sampled and pair.question.fact is not None:
            by_fact[pair.question.passage_id, pair.question.fact].add(pair.question.text)
            if not is_expected(pair.answer, pair.answer, pair.question.fact.accepted):
                unfit.add(pair.question.text)
    by_document: defaultdict[str, list[list[str]]] = defaultdict(list)
    for (passage_id, _), asking in by_fact.items():
        if len(asking) >= 2:
            by_document[passages[passage_id].document_id].append(sorted(asking))
    documents = len(by_document)
    asked = len({pair.question.text for pair in pairs})
    wanted = min(most_held_out(documents), max(FEWEST_HELD_OUT, documents, round(SHARE_HELD_OUT * asked)))
    several = [(document_id, texts) for document_id, those in by_document.items() for texts in those]
    chance = random.Random(seed)  # noqa: S311
    chance.shuffle(several)
    several.sort(key=lambda each: min(len(each[1]), ENOUGH), reverse=True)
    by_passage: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_passage[pair.question.passage_id].append(pair)
    chosen: set[str] = set()
    examined: set[str] = set()
    for document_id, texts in in_rounds(several, lambda each: each[0]):
        if len(chosen) == wanted:
            break
        if document_id in examined and len(chosen) >= _most(wanted, len(texts)):
            continue
        fit = [text for text in texts if text not in unfit]
        if not fit:
            continue
        text = chance.choice(fit)
        if not any(_uncovers(text, chosen, those, passages, subjects) for those in by_passage.values()):
            chosen.add(text)
            examined.add(document_id)
    marked = [replace(pair, held_out=pair.question.text in chosen) for pair in pairs]
    return [pair for pair in marked if not (pair.held_out and pair.sampled)]


def _most(wanted: int, questions: int) -> int:
    """How many questions are held out at most before one is of a fact with so few questions."""
    if questions >= ENOUGH:
        return wanted
    return max(FEWEST_HELD_OUT, wanted // 2) if questions > 2 else FEWEST_HELD_OUT


def _uncovers(
    text: str,
    chosen: set[str],
    pairs: Sequence[Pair],
    passages: Mapping[str, Passage],
    subjects: Mapping[str, Subject],
) -> bool:
    """Whether a passage's pairs would cover less of it without one question more than those chosen."""
    trained = [pair for pair in pairs if pair.question.text not in chosen]
    left = [pair for pair in trained if pair.question.text != text]
    if len(left) == len(trained):
        return False
    passage = passages[pairs[0].question.passage_id]
    alone = {passage.id: passage}
    return measure(left, alone, subjects).gaps != measure(trained, alone, subjects).gaps
