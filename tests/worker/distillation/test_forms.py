"""In which forms a question is asked: the shares of each, and what stands before it."""

import random
from collections import Counter

import pytest

from worker.distillation.forms import LATER_SHARE, READING_SHARE, SYSTEM_SHARE, asked
from worker.distillation.prompts import EXAMPLES, Message

QUESTION = "When did the museum open?"
TEXT = "The museum opened in 1962."
OTHER = "The tower is 40 m tall."
EXCHANGES = [("What is 2 plus 2?", "4.")]
DRAWS = 4000


def form(chat: list[Message]) -> str:
    assert chat[-1]["role"] == "user"
    assert chat[-1]["content"].endswith(QUESTION)
    if chat[0]["role"] == "system":
        return "system"
    if TEXT in chat[-1]["content"]:
        return "reading"
    return "later" if len(chat) > 1 else "plain"


def chats(shown: bool = False, text: str = TEXT) -> list[list[Message]]:
    chance = random.Random(0)
    return [asked(QUESTION, chance, EXCHANGES, text, [OTHER], shown) for _ in range(DRAWS)]


def test_each_form_has_its_share_and_most_are_plain() -> None:
    found = Counter(map(form, chats()))
    shares = {"system": SYSTEM_SHARE, "later": LATER_SHARE, "reading": READING_SHARE}
    assert {name: found[name] / DRAWS for name in shares} == pytest.approx(shares, abs=0.01)
    assert found["plain"] > DRAWS / 2


def test_a_question_without_a_passage_is_never_asked_beside_one() -> None:
    assert Counter(map(form, chats(text=""))).keys() == {"system", "later", "plain"}


def test_a_question_is_asked_beside_its_passage_as_by_a_client_and_as_by_a_teacher_at_times_with_another() -> None:
    reading = [chat for chat in chats(shown=True) if form(chat) == "reading"]
    turns = Counter(len(chat) for chat in reading)
    assert set(turns) == {1, 1 + 2 * len(EXAMPLES)}
    assert all(count > len(reading) / 3 for count in turns.values())
    orders = Counter(
        OTHER in last and last.index(OTHER) < last.index(TEXT) for last in (chat[-1]["content"] for chat in reading)
    )
    assert set(orders) == {True, False}
    client = next(chat for chat in reading if len(chat) == 1 and OTHER not in chat[0]["content"])
    assert client == [{"role": "user", "content": f"{TEXT}\n\n{QUESTION}"}]
