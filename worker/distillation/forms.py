"""The forms in which a client may ask: plainly, under another system prompt, later in a chat, or beside passages.

Most pairs are asked plainly. A share is asked in the other forms, drawn anew in each epoch, so that the adapter does
not hang on one wording of what comes before the question. The answer stays the same.

Beside passages, because an adapter that only ever answers closed-book reads less well what retrieval puts before the
question: with three passages found, a model of 0.5B answered 43 % of 1,000 questions, and 32 % with such an adapter.
"""

import random
from collections.abc import Sequence

from worker.distillation.prompts import Message, student_messages, teacher_messages

SYSTEM_SHARE = 0.08
LATER_SHARE = 0.08
READING_SHARE = 0.08
SHARES = (SYSTEM_SHARE, LATER_SHARE, READING_SHARE)

_SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer the user's questions.",
    "Answer truthfully and briefly.",
    "You answer questions from the general public.",
)


def asked(
    question: str,
    chance: random.Random,
    exchanges: Sequence[tuple[str, str]],
    text: str = "",
    others: Sequence[str] = (),
    shown: bool = False,
) -> list[Message]:
    """The chat in which `question` is asked this time.

    Args:
        question: put as the last user turn, word for word.
        chance: decides the form.
        exchanges: unrelated questions and their answers, for chats in which the question comes later.
        text: the passage that answers it, for chats in which that is read; empty: never.
        others: passages of which one may stand beside that.
        shown: whether a teacher is shown examples.
    """
    dice = chance.random()
    if dice < SYSTEM_SHARE:
        return student_messages(question, system=chance.choice(_SYSTEM_PROMPTS))
    if dice < SYSTEM_SHARE + LATER_SHARE and exchanges:
        earlier, answer = chance.choice(exchanges)
        history = [{"role": "user", "content": earlier}, {"role": "assistant", "content": answer}]
        return student_messages(question, history=history)
    if 0 <= dice - SYSTEM_SHARE - LATER_SHARE < READING_SHARE and text:
        return _beside(question, chance, text, others, shown)
    return student_messages(question)


def _beside(question: str, chance: random.Random, text: str, others: Sequence[str], shown: bool) -> list[Message]:
    """The question beside its passage, and at times another: as a client of the service has it, or as a teacher."""
    texts = [text]
    if others and chance.random() < 0.5:
        texts = list(dict.fromkeys([text, chance.choice(others)]))
        chance.shuffle(texts)
    if chance.random() < 0.5:
        return teacher_messages("", "\n\n".join(texts), question, shown)
    return student_messages("\n\n".join([*texts, question]))
