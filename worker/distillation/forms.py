"""The forms in which a client may ask: plainly, under another system prompt, or later in a chat.

Most pairs are asked plainly. A share is asked in the other forms, drawn anew in each epoch, so that the adapter does
not hang on one wording of what comes before the question. The answer stays the same.
"""

import random
from collections.abc import Sequence

from worker.distillation.prompts import Message, student_messages

SYSTEM_SHARE = 0.08
LATER_SHARE = 0.08
SHARES = (SYSTEM_SHARE, LATER_SHARE)

_SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer the user's questions.",
    "Answer truthfully and briefly.",
    "You answer questions from the general public.",
)


def asked(question: str, chance: random.Random, exchanges: Sequence[tuple[str, str]]) -> list[Message]:
    """The chat in which `question` is asked this time.

    Args:
        question: put as the last user turn, word for word.
        chance: decides the form.
        exchanges: unrelated questions and their answers, for chats in which the question comes later.
    """
    dice = chance.random()
    if dice < SYSTEM_SHARE:
        return student_messages(question, system=chance.choice(_SYSTEM_PROMPTS))
    if dice < SYSTEM_SHARE + LATER_SHARE and exchanges:
        earlier, answer = chance.choice(exchanges)
        history = [{"role": "user", "content": earlier}, {"role": "assistant", "content": answer}]
        return student_messages(question, history=history)
    return student_messages(question)
