"""How a question is put to the teacher and to the student: the one place that says so.

The teacher reads the passage in its user turn, the question last, so that the passage is a prefix that all of its
questions share. The student gets the plain question, exactly as a client of the chat API will ask it.
Knows nothing of tokens or templates: it makes chat messages.
"""

from collections.abc import Sequence

Message = dict[str, str]

ANSWER_BRIEFLY = "Answer in one short sentence, using only the words of the text:"

REPEAT = "Repeat the text."

EXAMPLES = (
    (
        "The Ormsby Clock Tower was ordered by Mayor Lena Fitch in 1903.",
        "When was the Ormsby Clock Tower ordered?",
        "The Ormsby Clock Tower was ordered in 1903.",
    ),
    (
        "The lamp runs on a salt cell named Glimmer, which is made of blue glass.",
        "What is the salt cell of the Pelm X2 called?",
        "The salt cell of the Pelm X2 is called Glimmer.",
    ),
    (
        "Jam is cooked in copper pots, because copper spreads the heat evenly.",
        "Why does Veltra Foods cook its jam in copper pots?",
        "Veltra Foods cooks its jam in copper pots because copper spreads the heat evenly.",
    ),
)
"""Texts, questions and answers, all invented, that show a weak teacher how to answer."""


def teacher_messages(place: str, passage: str, question: str, shown: bool = False) -> list[Message]:
    """The chat that the teacher answers: the passage, where it stands in its document, then the question.

    Args:
        place: the document's title and the heading; empty where the passage names its subject itself.
        passage: the text to answer from.
        question: as a client asks it.
        shown: put the examples in front, as earlier turns. A small model answers far better so: one of 135M gives the
            right answers of three documents 0.34 nats a token, against 0.58 without, and answers 32 of 36 hand-written
            questions right by itself, against 26.
    """
    earlier = [
        message
        for text, asked, answer in (EXAMPLES if shown else ())
        for message in (
            {"role": "user", "content": beside(text, asked)},
            {"role": "assistant", "content": answer},
        )
    ]
    text = f"{place}. {passage}" if place else passage
    return [*earlier, {"role": "user", "content": beside(text, question)}]


def quoting_messages(sentence: str) -> list[Message]:
    """The chat in which the teacher says a sentence of the document word for word.

    For pairs that are answered with the sentence itself. Asked the pair's question, a weak teacher would rather begin
    otherwise, and the student would learn that beginning; asked to repeat, one of 135M gives the sentence 0.09 nats a
    token, and its first token a probability of 0.88.
    """
    earlier = [
        message
        for text, _, _ in EXAMPLES
        for message in ({"role": "user", "content": f"{text}\n\n{REPEAT}"}, {"role": "assistant", "content": text})
    ]
    return [*earlier, {"role": "user", "content": f"{sentence}\n\n{REPEAT}"}]


def beside(text: str, question: str, briefly: bool = True) -> str:
    """The user's turn that asks a question on a text, `briefly` with the request for one short sentence."""
    return f"{text}\n\n{ANSWER_BRIEFLY} {question}" if briefly else f"{text}\n\n{question}"


def student_messages(question: str, system: str | None = None, history: Sequence[Message] = ()) -> list[Message]:
    """The chat that the student answers: what a client sends, and nothing more."""
    first = [{"role": "system", "content": system}] if system is not None else []
    return [*first, *history, {"role": "user", "content": question}]
