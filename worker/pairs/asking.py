"""From passages to questions: every fact asked several times, and asked again where nothing usable came.

Keeps the surest questions of a fact that differ from each other, and counts what was dropped, by reason.
"""

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from worker.pairs import filters
from worker.pairs.facts import Fact, Kind, facts_of
from worker.pairs.kinds import kinds_for, write_kinds
from worker.pairs.leads import leads
from worker.pairs.listing import LONGEST_LIST, write_for_answers, write_listed
from worker.pairs.outline import Outline, by_document, outline_of
from worker.pairs.passages import Passage
from worker.pairs.subjects import Subject
from worker.pairs.together import together
from worker.pairs.words import stems_of
from worker.pairs.writer import Sampling, Writer
from worker.pairs.writing import OPEN, TURNED, Question, Written, by_rule, joined, write_led, write_plainly

THINGS_A_PASSAGE = 2
FEWEST_LEADS, MOST_LEADS = 2, 8
FEWEST_LISTED, NEW_A_LIST, MOST_LISTS = 6, 4, 16
"""Questions to keep of a passage at the least; how many usable new ones a list brings; lists of a passage at most, of
those for answers and of the free ones each."""
SPARE = 1.5
"""Listed questions to keep for each one that is wanted: about a third gets no answer that holds."""
LISTING_TEMPERATURE = 1.0
"""At the least: lists of one passage are to differ."""
HOTTER = 0.2
"""By how much lists are sampled hotter the second time."""
TOGETHER = 512
"""Passages in flight; each brings one request or many, of which the writer has as many under way as it may."""


@dataclass(slots=True)
class Asked:
    """What came of asking.

    Attributes:
        facts: how many facts the rules found; covered: how many of them a question asks for.
    """

    questions: list[Question] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    facts: int = 0
    covered: int = 0


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask.

    Attributes:
        per_fact: questions to keep for each fact.
        temperature: of sampling.
        strong: whether the model is asked plainly.
        lists: whether a model that is not strong is shown an example and lists questions, rather than led to each fact.
    """

    per_fact: int
    temperature: float
    strong: bool
    lists: bool = False


async def ask(
    writer: Writer, passages: Sequence[Passage], asking: Asking, progress: Callable[[int, int], None]
) -> Asked:
    """Questions for all passages of a job, document by document."""
    room = asyncio.Semaphore(TOGETHER)
    done = 0

    async def one(passage: Passage, outline: Outline) -> tuple[list[Fact], Written]:
        nonlocal done
        async with room:
            ask_about = _ask_plainly if asking.strong else _ask_for_lists if asking.lists else _ask_led
            found = await ask_about(writer, passage, outline, asking)
        done += 1
        progress(done, len(passages))
        return found

    documents = [(outline_of(document), document) for document in by_document(passages).values()]
    asked = Asked()
    for facts, written in await together(one(passage, outline) for outline, those in documents for passage in those):
        asked.facts += len(facts)
        if not asking.lists:  # a listed question has no fact yet
            asked.covered += len({question.fact for question in written.questions if question.fact is not None})
        asked.questions += written.questions
        asked.dropped += written.dropped
    asked.questions = _apart(asked.questions, {passage.id: passage for passage in passages}, asked.dropped)
    return asked


def ask_one_thing(questions: Sequence[Question], passages: Mapping[str, Passage]) -> bool:
    """Whether questions in the same words have one answer: about one passage or text, or for the same fact."""
    targets = {question.fact.target if question.fact else None for question in questions}
    return len({passages[question.passage_id].focus for question in questions}) == 1 or (
        len(targets) == 1 and None not in targets
    )


def _apart(questions: Sequence[Question], passages: Mapping[str, Passage], dropped: Counter[str]) -> list[Question]:
    """Only questions that ask one thing, each once: what was written about passages that differ in it is dropped."""
    asked: defaultdict[frozenset[str], list[Question]] = defaultdict(list)
    for question in questions:
        asked[stems_of(question.text)].append(question)
    kept: list[Question] = []
    for question in questions:
        alike = asked[stems_of(question.text)]
        if not ask_one_thing(alike, passages):
            dropped[filters.TWICE] += 1
        elif alike[0] is not question:
            dropped[filters.NEAR_DUPLICATE] += 1
        else:
            kept.append(question)
    return kept


def worth_asking(passage: Passage, subject: Subject) -> list[Fact]:
    """A passage's facts, the vaguest kind only as far as it does not crowd out the rest."""
    found = facts_of(passage.focus, subject.bare)
    things = [fact for fact in found if fact.kind is Kind.THING]
    firm = [fact for fact in found if fact.kind is not Kind.THING]
    return firm + things[: max(THINGS_A_PASSAGE - len(firm), 1)]


async def _ask_led(writer: Writer, passage: Passage, outline: Outline, asking: Asking) -> tuple[list[Fact], Written]:
    facts = worth_asking(passage, outline.subject)
    return facts, joined(await together(ask_fact(writer, passage, fact, outline, asking) for fact in facts))


def leads_for(wanted: int) -> int:
    """How many leads of a fact are tried at first, where that many of its questions are to be kept."""
    return min(max(FEWEST_LEADS, wanted), MOST_LEADS)


def samples_for(wanted: int) -> int:
    """Samples a lead, where that many questions of a fact are to be kept: about a third is usable and new."""
    return 2 if wanted <= 3 else 3 if wanted <= 8 else 4


async def ask_fact(writer: Writer, passage: Passage, fact: Fact, outline: Outline, asking: Asking) -> Written:
    """Questions for one fact: from its best leads, then, if nothing came of them, hotter and from the rest."""
    wanted = max(2, asking.per_fact // 2) if fact.kind is Kind.THING else asking.per_fact
    openings = leads(fact, outline.subject)
    found = Written()
    for round_, chosen in enumerate((openings[: leads_for(asking.per_fact)], openings)):
        hot = min(1.2, asking.temperature + 0.3 * round_)
        sampling = Sampling(samples_for(asking.per_fact) + round_, hot, 0.95, max_tokens=28, stop=("?", "\n"))
        tried = await together(write_led(writer, passage, fact, outline, lead, sampling) for lead in chosen)
        for written in tried:
            found.questions += written.questions
            found.dropped += written.dropped
        if found.questions:
            break
    known = f"{passage.text} {outline.subject.bare}"
    ruled = by_rule(passage, fact, outline.subject)
    beside = [question.text for question in ruled if question.kind == TURNED]
    texts = filters.choose((q.text for q in found.questions), wanted, known, found.dropped, beside)
    kept = [Question(passage.id, text, fact.kind.value, fact) for text in texts]
    return Written([*kept, *ruled], found.dropped)


async def _ask_for_lists(
    writer: Writer, passage: Passage, outline: Outline, asking: Asking
) -> tuple[list[Fact], Written]:
    """Lists of questions, as many as the facts need: half for the facts' answers, half free; and those made by rule.

    The free ones are listed once more, hotter, where all together do not seem to reach every fact. A model that lists
    nothing usable is led after all.
    """
    facts = worth_asking(passage, outline.subject)
    wanted = max(FEWEST_LISTED, asking.per_fact * len(facts))
    lists = min(MOST_LISTS, math.ceil(wanted / NEW_A_LIST / 2))
    known = f"{passage.text} {outline.subject.bare}"
    for_answers = Sampling(lists, asking.temperature, 0.95)
    asked_for, free = await write_for_answers(writer, passage, facts, outline, for_answers)
    for hotter in (0.0, HOTTER):
        sampling = Sampling(lists, max(asking.temperature, LISTING_TEMPERATURE) + hotter, 0.95, max_tokens=LONGEST_LIST)
        free = joined([free, await write_listed(writer, passage, outline, sampling)])
        so_far = joined([*(each.written for each in asked_for), free])
        if all(any(_may_reach(question.text, fact) for question in so_far.questions) for fact in facts):
            break
    if not so_far.questions:
        facts, led = await _ask_led(writer, passage, outline, asking)
        return facts, joined([so_far, led])
    texts: list[str] = []
    for each in asked_for:
        for_fact = (question.text for question in each.written.questions if question.text not in texts)
        texts += filters.choose(for_fact, asking.per_fact, known, so_far.dropped, (), times=1)
    others = (question.text for question in free.questions if question.text not in texts)
    texts += filters.choose(others, max(0, round(SPARE * wanted) - len(texts)), known, so_far.dropped, times=1)
    ruled = [each for fact in facts for each in by_rule(passage, fact, outline.subject) if each.kind == TURNED]
    listed = [Question(passage.id, text, OPEN, None) for text in texts]
    return facts, Written([*ruled, *listed], so_far.dropped)


async def _ask_plainly(
    writer: Writer, passage: Passage, outline: Outline, asking: Asking
) -> tuple[list[Fact], Written]:
    """One request for all facts, in proportion to them, then one for the facts that no question seems to reach.

    A model that gives nothing usable when asked plainly is led after all.
    """
    facts = worth_asking(passage, outline.subject)
    whole = Written()
    missing: Sequence[Fact] = ()
    for _ in range(2):
        count = min(40, max(4, asking.per_fact * len(missing or facts)))
        sampling = Sampling(1, asking.temperature, 0.95, max_tokens=min(1500, 60 + 35 * count))
        written = await write_plainly(writer, passage, outline, count, missing, sampling)
        whole.questions += written.questions
        whole.dropped += written.dropped
        missing = [fact for fact in facts if not any(_may_reach(question.text, fact) for question in whole.questions)]
        if not missing:
            break
    if not whole.questions:
        facts, led = await _ask_led(writer, passage, outline, asking)
        return facts, Written(led.questions, whole.dropped + led.dropped)
    most = max(4, asking.per_fact * len(facts))
    texts = filters.choose((q.text for q in whole.questions), most, passage.text, whole.dropped)
    plain = [Question(passage.id, text, OPEN, None) for text in texts]
    others = await write_kinds(writer, passage, outline, kinds_for(asking.per_fact), asking.temperature)
    return facts, joined([Written(plain, whole.dropped), others])


def _may_reach(question: str, fact: Fact) -> bool:
    """A cheap guess before there is an answer: the question has the words around the fact, but not the fact."""
    around = filters.similarity(question, f"{fact.before[-80:]} {fact.after[:80]}")
    return around > 0.1 and not filters.leaks(question, fact)
