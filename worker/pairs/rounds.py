"""Asking and answering again until the pairs cover the passages: measured, asked again, answered, measured anew."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.pairs import filters
from worker.pairs.again import BY_RULE_FREE, BY_RULE_LED, kinds_again, lead_again, rule_again
from worker.pairs.answering import Answered
from worker.pairs.asking import Asking
from worker.pairs.copies import without_copies
from worker.pairs.coverage import measure
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage
from worker.pairs.writer import Writer
from worker.pairs.writing import Question, Written


@dataclass(frozen=True, slots=True)
class Goal:
    """When to stop asking again.

    Attributes:
        share: of the sentences, and of their names, numbers and dates, that pairs are to ask for.
        rounds: at most; in the last one questions are made by rule.
    """

    share: float
    rounds: int


async def cover(
    writer: Writer,
    answered: Answered,
    answer: Callable[[Sequence[Question]], Awaitable[Answered]],
    passages: Mapping[str, Passage],
    outlines: Mapping[str, Outline],
    asking: Asking,
    goal: Goal,
) -> int:
    """Add pairs to `answered` for what it does not cover, and say in how many rounds.

    Args:
        writer: the model that writes questions.
        answered: the pairs so far, and what was dropped; near copies among them are no longer there.
        answer: gives the pairs for questions that training is to have.
        passages: by id.
        outlines: by document id.
        asking: how was asked at first.
        goal: when to stop.
    """
    subjects = {document: outline.subject for document, outline in outlines.items()}
    for round_ in range(1, goal.rounds + 1):
        covered = measure(answered.pairs, passages, subjects)
        if covered.reaches(goal.share):
            return round_ - 1
        if round_ == goal.rounds:
            a_fact = BY_RULE_FREE if asking.strong or asking.lists else BY_RULE_LED
            written = Written(rule_again(covered.gaps, passages, subjects, a_fact))
        elif round_ == 1 and asking.strong:
            written = await kinds_again(writer, covered.gaps, passages, outlines, asking)
        else:
            written = await lead_again(writer, covered.gaps, passages, outlines, asking, round_)
        answered.dropped += written.dropped
        more = await answer(_fresh(written.questions, answered))
        answered.pairs = without_copies([*answered.pairs, *more.pairs], answered.dropped)
        answered.dropped += more.dropped
    return goal.rounds


def _fresh(questions: Sequence[Question], answered: Answered) -> list[Question]:
    """Those that are not asked yet, each once; what was written about two passages is dropped, as in asking."""
    asked = {pair.question.text for pair in answered.pairs}
    fresh: dict[str, Question] = {}
    for question in questions:
        if question.text not in asked:
            fresh.setdefault(question.text, question)
    twice = {q.text for q in questions if q.text in fresh and q.passage_id != fresh[q.text].passage_id}
    answered.dropped[filters.TWICE] += len(twice)
    return [question for text, question in fresh.items() if text not in twice]
