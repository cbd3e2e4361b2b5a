"""Asking again for what no pair asks for yet: a sentence, or a name, number or date of one.

First a strong model is asked for questions of other kinds about it; then the model is led to it once more, hotter and
from every lead; what still has no pair gets requests by rule, which the sentence itself answers.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from worker.pairs import filters
from worker.pairs.asking import Asking
from worker.pairs.coverage import Gap
from worker.pairs.facts import Fact, Kind, facts_of
from worker.pairs.kinds import QUESTION, REVERSED, REWORDED, WHY, write_kinds
from worker.pairs.leads import leads
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage
from worker.pairs.sentences import narrowed
from worker.pairs.subjects import Subject
from worker.pairs.together import together
from worker.pairs.words import content_words, stems_of
from worker.pairs.writer import Sampling, Writer
from worker.pairs.writing import (
    CLOZE,
    REVERSED_BY_RULE,
    TOPIC,
    Question,
    Written,
    by_rule,
    joined,
    sentence_start,
    where_of,
    write_led,
)

SAMPLES = 4
QUESTIONS = 2
"""To keep for each fact that is asked for again."""
BY_RULE_LED, BY_RULE_FREE = 2, 1
"""To make by rule for each fact that is asked for again: for a model that is led, and for one that asks freely, whose
own questions teach more. Each is answered by the whole sentence, the longest answers of all."""
KINDS_AGAIN = (REWORDED, REVERSED, WHY, QUESTION)
HOTTER, HOTTEST = 0.3, 1.2
OPEN_LEADS = ("How", "What", "Why", "Where", "When", "Who")
"""For the end of a sentence in which no fact was found."""
_OPENS = re.compile(r"(?:(?:The|An?|Each|Every) )?(?:[a-z][\w'-]* )?")
_VERB = r" (?:is|was|are|were|has|have|had|can|may|must|will|would|[a-z]{2,}ed|[a-z]{3,}s)\b"
_THING_FIRST = re.compile(rf"(?:The|Its|An?|Each|Every) ((?:[a-z][\w'-]* ){{0,2}}?[a-z][\w'-]*){_VERB}")


async def kinds_again(
    writer: Writer,
    gaps: Sequence[Gap],
    passages: Mapping[str, Passage],
    outlines: Mapping[str, Outline],
    asking: Asking,
) -> Written:
    """Questions of several kinds that a strong model writes about the sentences of the gaps, a request a passage."""
    sentences: defaultdict[str, list[str]] = defaultdict(list)
    for gap in gaps:
        sentences[gap.passage_id].append(gap.sentence)
    return joined(
        await together(
            write_kinds(writer, passage, outlines[passage.document_id], KINDS_AGAIN, asking.temperature, about)
            for passage, about in ((passages[name], about) for name, about in sentences.items())
        )
    )


async def lead_again(
    writer: Writer,
    gaps: Sequence[Gap],
    passages: Mapping[str, Passage],
    outlines: Mapping[str, Outline],
    asking: Asking,
    round_: int,
) -> Written:
    """Questions that the model writes for the gaps, in a round that is the hotter the later it is.

    Args:
        writer: the model.
        gaps: what is not asked for.
        passages: by id.
        outlines: by document id.
        asking: how was asked at first.
        round_: of asking again, from 1.
    """
    hot = min(HOTTEST, asking.temperature + HOTTER * round_)
    sampling = Sampling(SAMPLES, hot, 0.95, max_tokens=28, stop=("?", "\n"))

    async def one(gap: Gap, fact: Fact) -> Written:
        passage = narrowed(passages[gap.passage_id], gap.sentence)
        outline = outlines[passage.document_id]
        openings = OPEN_LEADS if fact == _end_of(gap.sentence) else leads(fact, outline.subject)
        whole = joined(await together(write_led(writer, passage, fact, outline, lead, sampling) for lead in openings))
        known = f"{passage.text} {outline.subject.bare}"
        texts = [
            question.text for question in whole.questions if _is_near(question.text, gap.sentence, outline.subject)
        ]
        whole.dropped[filters.VAGUE] += len(whole.questions) - len(texts)
        texts = filters.choose(texts, QUESTIONS, known, whole.dropped, ())
        kept = [Question(passage.id, text, fact.kind.value, fact, gap.sentence) for text in texts]
        return Written(kept, whole.dropped)

    wanted = [(gap, outlines[passages[gap.passage_id].document_id].subject) for gap in gaps]
    return joined(await together(one(gap, fact) for gap, subject in wanted for fact in facts_in(gap, subject)))


def _is_near(question: str, sentence: str, subject: Subject) -> bool:
    """Whether a question has a telling word of the sentence: "Who is the Hollin Museum?" fits anything about it."""
    own = stems_of(" ".join(content_words(sentence))) - stems_of(subject.bare)
    return bool(own & stems_of(question))


def rule_again(
    gaps: Sequence[Gap], passages: Mapping[str, Passage], subjects: Mapping[str, Subject], a_fact: int
) -> list[Question]:
    """Requests by rule for the gaps, at most `a_fact` for each fact, and each answered by its sentence.

    By what its facts allow; the sentence to complete; what it opens with to be told about; and, for a missing name that
    opens it, the question turned around: "The Blue Heron was built in 1894." -> "What was built in 1894?".
    """
    written: list[Question] = []
    for gap in gaps:
        passage = passages[gap.passage_id]
        subject = subjects[passage.document_id]
        own = narrowed(passage, gap.sentence)
        found = [] if gap.covered else _of_the_whole(own, subject)
        for fact in facts_in(gap, subject):
            if fact == _end_of(gap.sentence):
                continue
            found += [*_reversed(own, fact, subject), *by_rule(own, fact, subject)][:a_fact]
        written += [replace(question, sentence=gap.sentence) for question in found]
    return written


def facts_in(gap: Gap, subject: Subject) -> list[Fact]:
    """What to ask for in a gap: its missing items, or all facts of a sentence that is not asked for.

    A sentence without any is asked for its end, and an item that the rules for facts do not see is one as it stands.
    """
    facts = facts_of(gap.sentence, subject.bare)
    unseen = [_as_fact(item, gap.sentence) for item in gap.missing if not any(item in fact.target for fact in facts)]
    if gap.covered:
        return [*(fact for fact in facts if any(item in fact.target for item in gap.missing)), *unseen]
    return [*facts, *unseen] or [_end_of(gap.sentence)]


def _as_fact(item: str, sentence: str) -> Fact:
    before, _, after = sentence.partition(item)
    return Fact(Kind.NAME if item[:1].isupper() else Kind.QUANTITY, item, item, before, after)


def _end_of(sentence: str) -> Fact:
    """The last two fifths of a sentence, or more until they tell something, as what it says."""
    words = sentence.rstrip(" .!").split()
    count = max(1, 2 * len(words) // 5)
    while count < len(words) and not content_words(" ".join(words[-count:])):
        count += 1
    end = " ".join(words[-count:])
    before, _, after = sentence.rpartition(end)
    return Fact(Kind.THING, end, end, before, after)


def _of_the_whole(own: Passage, subject: Subject) -> list[Question]:
    """Its sentence to complete, and, where it opens with a thing, what is said about that."""
    end = _end_of(own.focus)
    start = sentence_start(own, end, subject)
    written = [Question(own.id, f'Complete this sentence: "{start} ..."', CLOZE, end)] if start else []
    thing = _THING_FIRST.match(own.focus)
    if thing and f"the {thing[1]}" != subject.generic:
        written.append(Question(own.id, f"What is said about the {thing[1]}{where_of(subject)}?", TOPIC, end))
    return written


def _reversed(own: Passage, fact: Fact, subject: Subject) -> list[Question]:
    """ "Each Keeper weighs 900 grams." -> "What weighs 900 grams?", for a name that its sentence is about."""
    if fact.kind not in {Kind.NAME, Kind.PERSON} or not _OPENS.fullmatch(fact.before):
        return []
    rest = subject.resolve(fact.after).rstrip(" .!")
    if not re.match(_VERB, rest) or not content_words(rest):
        return []
    return [Question(own.id, f"{'Who' if fact.kind is Kind.PERSON else 'What'}{rest}?", REVERSED_BY_RULE, fact)]
