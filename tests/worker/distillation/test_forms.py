"""In which forms a question is asked: the shares of each, and what stands before it."""

import random
from collections import Counter

import pytest

from worker.distillation.forms import LATER_SHARE, SYSTEM_SHARE, WORDING_SHARE, WORDINGS, asked
from worker.distillation.prompts import Message

QUESTION = "When did the museum open?"
EXCHANGES = [("What is 2 plus 2?", "4.")]
DRAWS = 4000


def form(chat: list[Message]) -> str:
    assert chat[-1]["role"] == "user"
    if chat[-1]["content"] != QUESTION:
        assert len(chat) == 1
        return "wording"
    return "system" if chat[0]["role"] == "system" else "later" if len(chat) > 1 else "plain"


def test_each_form_has_its_share_and_most_are_plain() -> None:
    chance = random.Random(0)
    found = Counter(form(asked(QUESTION, chance, EXCHANGES)) for _ in range(DRAWS))
    shares = {"system": SYSTEM_SHARE, "later": LATER_SHARE, "wording": WORDING_SHARE}
    assert {name: found[name] / DRAWS for name in shares} == pytest.approx(shares, abs=0.01)
    assert found["plain"] > DRAWS / 2


def test_later_in_a_chat_it_stands_after_an_unrelated_exchange() -> None:
    chance = random.Random(0)
    later = [chat for chat in (asked(QUESTION, chance, EXCHANGES) for _ in range(100)) if form(chat) == "later"]
    turns = [{"role": "user", "content": "What is 2 plus 2?"}, {"role": "assistant", "content": "4."}]
    assert later
    assert all(chat[:2] == turns for chat in later)
    assert "later" not in {form(asked(QUESTION, chance, [])) for _ in range(100)}


def test_a_wording_is_careless_or_has_something_around_the_question() -> None:
    chance = random.Random(0)
    chats = [chat for chat in (asked(QUESTION, chance, EXCHANGES) for _ in range(1000)) if form(chat) == "wording"]
    typed = Counter(chat[0]["content"] for chat in chats)
    careless = "when did the museum open"
    assert set(typed) == {careless, *(wording.format(QUESTION) for wording in WORDINGS)}
    assert typed[careless] / typed.total() == pytest.approx(0.5, abs=0.15)


def test_a_request_that_is_no_question_keeps_its_words() -> None:
    request = "Complete this sentence: The museum opened in"
    chance = random.Random(0)
    assert {asked(request, chance, EXCHANGES)[-1]["content"] for _ in range(200)} == {request}
