"""What the base model knows already: it answers the plain question right, with no passage in its prompt.

What the question says itself is no knowledge: "It stands on a hill." to "On which hill does it stand?".

Such pairs are marked, and one of them is kept for each fact, so that training spends its steps on what is new.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from worker.grading import agrees
from worker.pairs.answering import Pair
from worker.pairs.facts import knows
from worker.pairs.together import together
from worker.pairs.words import stems_of
from worker.pairs.writer import Sampling, Writer
from worker.pairs.writing import BY_RULE, Question

CLOSED = Sampling(max_tokens=24, scored=True)
"""Greedy, and no longer than an answer takes that names its fact."""
KNOWN = "known already"
_WORD = re.compile(r"[\w']+")


async def mark_known(
    writer: Writer,
    pairs: Sequence[Pair],
    dropped: Counter[str],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[Pair]:
    """The pairs, those marked that the model knows, in their order; of these one a fact, and none sampled.

    The rest of these are counted in `dropped`. Each pair whose question was put tells how sure the model was of what it
    said.

    Each question is put once, as a client puts it, and what comes is graded by the fact that it asks for, or else by
    the teacher's answer. Requests by rule are not put: what they ask for is in other pairs, or in the sentence alone.
    `progress` is told how many were put, and of how many.
    """
    first: dict[Question, Pair] = {}
    for pair in pairs:
        if pair.question.kind not in BY_RULE:
            first.setdefault(pair.question, pair)
    done = 0

    async def one(pair: Pair) -> tuple[bool, float | None]:
        nonlocal done
        said = await _ask(writer, pair)
        done += 1
        progress(done, len(first))
        return said

    told = await together(one(pair) for pair in first.values())
    said = dict(zip(first, told, strict=True))
    kept: list[Pair] = []
    facts: set[object] = set()
    for pair in pairs:
        is_known, sure = said.get(pair.question, (False, None))
        pair = replace(pair, closed_book=sure)
        if not is_known:
            kept.append(pair)
            continue
        fact = (pair.question.passage_id, pair.question.fact or pair.question.text)
        if not pair.sampled and fact not in facts:
            facts.add(fact)
            kept.append(replace(pair, known=True))
        else:
            dropped[KNOWN] += 1
    return kept


async def _ask(writer: Writer, pair: Pair) -> tuple[bool, float | None]:
    """Whether the model answers right, and the mean log-probability of what it said."""
    question = pair.question
    messages = [{"role": "user", "content": question.text}]
    (said,) = await writer.chat(messages, CLOSED, group=question.passage_id)
    if question.fact is not None:
        return knows(said.text, question.fact, question.text), said.logprob
    said_by_question = stems_of(question.text)
    new = _WORD.sub(lambda word: "" if stems_of(word[0]) <= said_by_question else word[0], pair.answer)
    return agrees(said.text, pair.answer) and agrees(said.text, new), said.logprob
