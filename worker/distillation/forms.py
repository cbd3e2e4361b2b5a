"""The forms in which a client may ask: plainly, carelessly typed, under another system prompt, or later in a chat.

Most pairs are asked plainly. A share is asked in the other forms, drawn anew in each epoch, so that the adapter does
not hang on one wording of what comes before the question. The answer stays the same.
"""

import random
from collections.abc import Sequence

from worker.distillation.prompts import Message, student_messages

SYSTEM_SHARE = 0.08
LATER_SHARE = 0.08
WORDING_SHARE = 0.12

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a friendly assistant. Answer the user's questions.",
    "Answer truthfully and briefly.",
    "You answer questions from the general public.",
)

WORDINGS = (
    "Hi! {}",
    "Hello. {}",
    "Can you tell me this? {}",
    "Please answer briefly. {}",
    "I have a question: {}",
    "{} Thanks!",
)
"""What people write around a question."""
FORMS = (SYSTEM_SHARE, LATER_SHARE, WORDING_SHARE, SYSTEM_PROMPTS, WORDINGS)
"""All that says in which forms questions are asked."""


def asked(question: str, chance: random.Random, exchanges: Sequence[tuple[str, str]]) -> list[Message]:
    """The chat in which `question` is asked this time.

    Args:
        question: put as the last user turn: word for word, or, for a share of them, as people type.
        chance: decides the form.
        exchanges: unrelated questions and their answers, for chats in which the question comes later.
    """
    dice = chance.random()
    if dice < SYSTEM_SHARE:
        return student_messages(question, system=chance.choice(SYSTEM_PROMPTS))
    if dice < SYSTEM_SHARE + LATER_SHARE:
        if not exchanges:
            return student_messages(question)
        earlier, answer = chance.choice(exchanges)
        history = [{"role": "user", "content": earlier}, {"role": "assistant", "content": answer}]
        return student_messages(question, history=history)
    if dice < SYSTEM_SHARE + LATER_SHARE + WORDING_SHARE:
        return student_messages(typed(question, chance))
    return student_messages(question)


def typed(question: str, chance: random.Random) -> str:
    """A question as people type it: all small and without its mark, or with something around it. A request stays."""
    if not question.endswith("?"):
        return question
    if chance.random() < 1 / 2:
        return question.lower().removesuffix("?")
    return chance.choice(WORDINGS).format(question)
