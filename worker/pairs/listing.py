"""Questions that a model of middle size lists: it is shown a text with its questions as an earlier turn, then asked.

A model of 0.5B answers a plain request for JSON with an empty list; after an example it lists natural questions, at a
tenth of what leading it to each fact costs.
"""

import re
from typing import Final

from worker.pairs import filters
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage
from worker.pairs.writer import Sampling, Writer
from worker.pairs.writing import OPEN, Question, Written, ground, questions_in

LISTING_MODEL: Final = 300_000_000
"""Parameters from which a model lists questions; a smaller one is led, one from `STRONG_MODEL` on is asked plainly."""
QUESTIONS: Final = 10
"""Of a list."""
LONGEST_LIST: Final = 260
"""Tokens. What a longer one has said so far counts."""
YES_OR_NO: Final = "asks for yes or no"
"""Why a listed question is dropped: a model of middle size makes its own facts up for it, and agrees to them."""

_YES_OR_NO: Final = re.compile(
    r"(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should)\b", re.IGNORECASE
)
_REQUEST: Final = (
    f"Write {QUESTIONS} different short questions that this text answers, one a line. Cover every name, number, date, "
    "place and reason."
)
_TITLE: Final = "Ormsby Clock Tower"
_TEXT: Final = (
    "The Ormsby Clock Tower was ordered by Mayor Lena Fitch in 1903, after a storm had destroyed the old one. Its "
    "bell, cast by Hugo Brandt in the village of Sill, weighs two tonnes and is rung by hand on market days. Most "
    "visitors come in June."
)
_QUESTIONS: Final = (
    "Who ordered the Ormsby Clock Tower?",
    "In what year was the clock tower ordered?",
    "Why was a new clock tower needed?",
    "What destroyed the old tower?",
    "Who cast the bell of the clock tower?",
    "In which village was the bell cast?",
    "How heavy is the bell of the Ormsby Clock Tower?",
    "When is the bell rung?",
    "How is the bell of the tower rung?",
    "In which month do most visitors come to the tower?",
)


async def write_listed(writer: Writer, passage: Passage, outline: Outline, sampling: Sampling) -> Written:
    """Questions about a passage, from `sampling.n` lists; the same one as often as it was written."""
    messages = [
        {"role": "user", "content": _asked(_TITLE, _TEXT)},
        {"role": "assistant", "content": "\n".join(_QUESTIONS)},
        {"role": "user", "content": _asked(outline.subject.bare, passage.text)},
    ]
    written = Written()
    for completion in await writer.chat(messages, sampling, group=passage.id):
        for line in questions_in(completion.text):
            text = filters.clean(line)
            reason = YES_OR_NO if _YES_OR_NO.match(text) else filters.fault(text, passage.text, None, outline)
            if reason == filters.NAMES_NOTHING:
                text = ground(text, outline.subject, outline.names)
                reason = filters.fault(text, passage.text, None, outline)
            written.take(Question(passage.id, text, OPEN, None), reason)
    return written


def _asked(title: str, text: str) -> str:
    return "\n\n".join(part for part in (title, text, _REQUEST) if part)
