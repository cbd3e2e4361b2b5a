"""Questions of other kinds than the plain one, asked for by name from a strong model.

The last five are the seeds of "Cartridges: Lightweight and general-purpose long context representations via self-study"
(Eyuboglu et al., arXiv 2506.06266): structuring, summarising, questioning, use cases and creative ones; here all are
questions that the passage answers, so that the same checks hold for them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from worker.pairs import filters
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage
from worker.pairs.writer import Sampling, Writer
from worker.pairs.writing import OPEN, Question, Written, name_it, question_list, questions_in, shown

REWORDED, REVERSED, WHY, MULTI_FACT, LIST = "reworded", "reversed", "why", "multi-fact", "list"
STRUCTURE, SUMMARY, QUESTION, USE_CASE, CREATIVE = "structure", "summary", "question", "use case", "creative"
KINDS: Final[Mapping[str, str]] = {
    REWORDED: "in other words than the text's own",
    REVERSED: "that gives a detail of the text and asks who or what it is told of",
    WHY: "that asks why or how",
    MULTI_FACT: "whose answer needs two facts of the text",
    LIST: "that asks for a list of things",
    STRUCTURE: "that asks how things in the text belong together",
    SUMMARY: "that asks what, in short, the text says of something",
    QUESTION: "that an examiner would ask",
    USE_CASE: "that someone would ask who needs the text for their work",
    CREATIVE: "that is playful, and that the text still answers",
}
"""Each kind with how it is asked for."""
OF_SEVERAL = frozenset({MULTI_FACT, LIST, STRUCTURE, SUMMARY})
"""Kinds whose answers give several facts."""
FEW_A_FACT, MANY_A_FACT = 3, 8
"""Questions a fact up to which none, and from above which all of these kinds are asked for."""


def kinds_for(per_fact: int) -> Sequence[str]:
    """The kinds to ask for beside the plain one, where that many questions of a fact are to be kept."""
    if per_fact <= FEW_A_FACT:
        return ()
    return tuple(KINDS) if per_fact > MANY_A_FACT else (REWORDED, REVERSED, WHY, MULTI_FACT, LIST, SUMMARY)


async def write_kinds(
    writer: Writer,
    passage: Passage,
    outline: Outline,
    kinds: Sequence[str],
    temperature: float,
    about: Sequence[str] = (),
) -> Written:
    """One question of each kind about a passage, or about the given sentences of it, by one request.

    A reply with more or fewer questions than kinds cannot be told apart by kind: its questions are `OPEN`.
    """
    written = Written()
    if not kinds:
        return written
    listed = "\n".join(f"{number}. A question {KINDS[kind]}." for number, kind in enumerate(kinds, 1))
    target = f"\n\nAsk only about this part of it: {' '.join(about)}" if about else ""
    request = (
        f"{shown(passage)}{target}\n\nWrite {len(kinds)} questions that this text answers, in this order:\n"
        f"{listed}\nEach question must be understood by someone who has not seen the text: {name_it(passage)}. Reply "
        "with a JSON list of strings and nothing else."
    )
    sampling = Sampling(1, temperature, 0.95, max_tokens=60 + 40 * len(kinds))
    messages = [{"role": "user", "content": request}]
    for completion in await writer.chat(messages, sampling, group=passage.id, schema=question_list(len(kinds))):
        lines = questions_in(completion.text)
        named = kinds if len(lines) == len(kinds) else [OPEN] * len(lines)
        for kind, line in zip(named, lines, strict=True):
            text = filters.clean(line)
            reason = filters.fault(text, passage.text, None, outline)
            written.take(Question(passage.id, text, kind, None), reason)
    return written
