"""Asking and answering again until the pairs cover the passages: measured, asked again, answered, measured anew.

Before that, a model that lists questions is led to the facts that it asked too little for.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.pairs import filters
from worker.pairs.again import BY_RULE_FREE, BY_RULE_LED, kinds_again, lead_again, rule_again
from worker.pairs.answering import Answered, Pair
from worker.pairs.asking import Asking, ask_fact, ask_one_thing, worth_asking
from worker.pairs.copies import without_copies
from worker.pairs.coverage import measure
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage
from worker.pairs.together import together
from worker.pairs.writer import Writer
from worker.pairs.writing import WITHOUT_MODEL, Question, Written, joined


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
    """Add pairs to `answered` for what it asks for too little or not at all, and say in how many rounds of the latter.

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

    async def add(written: Written) -> None:
        answered.dropped_questions += written.dropped
        more = await answer(_fresh(written.questions, answered, passages))
        answered.pairs = without_copies([*answered.pairs, *more.pairs], answered.dropped_questions)
        answered.dropped += more.dropped
        answered.dropped_questions += more.dropped_questions

    if asking.lists and goal.rounds > 1:
        await add(await _lead_to_the_few(writer, answered.pairs, passages, outlines, asking))
    for round_ in range(1, goal.rounds + 1):
        covered = measure(answered.pairs, passages, subjects)
        if covered.reaches(goal.share):
            return round_ - 1
        if round_ == goal.rounds:
            a_fact = BY_RULE_FREE if asking.strong or asking.lists else BY_RULE_LED
            await add(Written(rule_again(covered.gaps, passages, subjects, a_fact)))
        elif round_ == 1 and asking.strong:
            await add(await kinds_again(writer, covered.gaps, passages, outlines, asking))
        else:
            await add(await lead_again(writer, covered.gaps, passages, outlines, asking, round_))
    return goal.rounds


async def _lead_to_the_few(
    writer: Writer,
    pairs: Sequence[Pair],
    passages: Mapping[str, Passage],
    outlines: Mapping[str, Outline],
    asking: Asking,
) -> Written:
    """Questions for the facts that few listed ones ask for: the model is led to each, and the rules ask for it as well.

    A list is a tenth of the work, but leaves some facts with one question or none, and those are not learnt: with lists
    alone a model of 0.5B got 10 of the demo's 12 questions right, so 11. What the model knows already is left alone.
    """
    asked = Counter(
        (pair.question.passage_id, pair.question.fact.target)
        for pair in pairs
        if pair.question.fact and not pair.sampled and pair.question.kind not in WITHOUT_MODEL
    )
    known = {
        (pair.question.passage_id, pair.question.fact.target) for pair in pairs if pair.known and pair.question.fact
    }
    few = [
        (passage, fact, outlines[passage.document_id])
        for passage in passages.values()
        for fact in worth_asking(passage, outlines[passage.document_id].subject)
        if asked[passage.id, fact.target] < asking.per_fact / 2 and (passage.id, fact.target) not in known
    ]
    return joined(await together(ask_fact(writer, passage, fact, outline, asking) for passage, fact, outline in few))


def _fresh(questions: Sequence[Question], answered: Answered, passages: Mapping[str, Passage]) -> list[Question]:
    """Those that are not asked yet, each once; what was written about passages that differ in it is dropped."""
    asked = {pair.question.text for pair in answered.pairs}
    fresh: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        if question.text not in asked:
            fresh[question.text].append(question)
    kept = [alike[0] for alike in fresh.values() if ask_one_thing(alike, passages)]
    answered.dropped_questions[filters.TWICE] += len(fresh) - len(kept)
    return kept
