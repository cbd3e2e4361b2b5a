import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from worker.pairs import filters
from worker.pairs.answering import (
    ADDS,
    ECHOES,
    LEAST_SURE,
    MISCOUNTED,
    MISPLACED,
    OTHER_SORT,
    UNSURE,
    Answered,
    Answering,
    answer,
    counts_other,
    fault,
)
from worker.pairs.facts import facts_of
from worker.pairs.filters import UNANSWERABLE
from worker.pairs.held_out import hold_out
from worker.pairs.kinds import MULTI_FACT
from worker.pairs.passages import Passage, split
from worker.pairs.subjects import Subject
from worker.pairs.writer import Completion, Sampling, Writer
from worker.pairs.writing import TURNED, Question

(PASSAGE,) = split("doc_1", "The Hollin Museum", "The Hollin Museum was founded by Ada Pell in 1962.", words=1)
YEAR = next(fact for fact in facts_of(PASSAGE.focus, "Hollin Museum") if fact.target == "1962")
QUESTION = Question(PASSAGE.id, "When was the Hollin Museum founded?", "year", YEAR)


def why(text: str, finish_reason: str = "stop", question: Question = QUESTION) -> str | None:
    return fault(Completion(text, finish_reason), text, question, PASSAGE)


def test_why_an_answer_is_dropped() -> None:
    assert why("It was founded in 1962.") is None
    assert why("It was founded in 1962 and then", "length") == filters.CUT_OFF
    assert why("The text does not mention it.") == filters.REFUSAL
    assert why("It was founded by Ada Pell.") == filters.UNANSWERABLE
    assert why("It was founded in 1962 in Stroud.") == ADDS
    assert why("It was founded in 1962, with 30 boats.") == ADDS
    assert why("") == filters.UNANSWERABLE


def test_an_answer_that_the_teacher_guesses_is_dropped() -> None:
    def why_scored(logprob: float) -> str | None:
        return fault(Completion("In 1962.", "stop", logprob), "In 1962.", QUESTION, PASSAGE)

    assert why_scored(LEAST_SURE + 0.1) is None
    assert why_scored(LEAST_SURE - 0.1) == UNSURE


def test_a_question_for_several_facts_needs_more_than_one() -> None:
    several = Question(PASSAGE.id, "Who founded the Hollin Museum, and when?", MULTI_FACT, None)
    assert why("Ada Pell founded it in 1962.", question=several) is None
    assert why("Ada Pell founded it.", question=several) == filters.UNANSWERABLE


def test_an_answer_to_an_open_question_must_give_some_fact() -> None:
    open_question = Question(PASSAGE.id, "What of the Hollin Museum?", "open", None)
    assert why("Ada Pell founded it.", question=open_question) is None
    assert why("It is a building.", question=open_question) == filters.UNANSWERABLE


def test_an_answer_that_only_repeats_an_open_question_is_dropped() -> None:
    echoed = Question(PASSAGE.id, "When did Pell found the Hollin Museum?", "open", None)
    assert why("Pell founded the Hollin Museum.", question=echoed) == ECHOES
    assert why("Pell founded the Hollin Museum in 1962.", question=echoed) is None
    chosen = Question(PASSAGE.id, "Was the Hollin Museum founded by Ada Pell or Tim Fox?", "open", None)
    assert why("By Ada Pell.", question=chosen) != ECHOES


@dataclass
class FixedWriter:
    """Answers each question as told."""

    replies: Mapping[str, str]

    async def complete(self, _prompt: str, _sampling: Sampling, /, **_: Any) -> list[Completion]:
        raise AssertionError("nothing is led here")

    async def chat(self, messages: Sequence[dict[str, str]], sampling: Sampling, /, **_: Any) -> list[Completion]:
        return [Completion(self.replies[messages[0]["content"]], "stop")] * sampling.n


class GreedyFirst(FixedWriter):
    """Answers greedily with the first reply, and samples the others."""

    def __init__(self, *replies: str) -> None:
        super().__init__({})
        self.in_order = replies

    async def chat(self, _messages: Sequence[dict[str, str]], sampling: Sampling, /, **_: Any) -> list[Completion]:
        chosen = self.in_order[1:] if sampling.temperature else self.in_order[:1]
        return [Completion(text, "stop") for text in chosen]


def test_an_open_question_gets_the_fact_that_its_answer_tells() -> None:
    replies = {
        "Who founded the Hollin Museum?": "Ada Pell founded it in 1962.",
        "When was the Hollin Museum founded?": "Ada Pell founded it in 1962.",
        "In which year did Ada Pell found the Hollin Museum?": "In 1962.",
        "How big is the Hollin Museum?": "It is a museum.",
    }
    passages, subjects = {PASSAGE.id: PASSAGE}, {"doc_1": Subject("the Hollin Museum", "Hollin Museum", "the museum")}
    answered = asyncio.run(
        answer(
            FixedWriter(replies),
            [Question(PASSAGE.id, text, "open", None) for text in replies],
            passages,
            subjects,
            lambda _, question: [{"role": "user", "content": question}],
            Answering(samples=0, temperature=1.0, longest=64),
            lambda *_: None,
        )
    )
    targets = [pair.question.fact and pair.question.fact.target for pair in answered.pairs]
    assert targets == ["Ada Pell", "1962", "1962"]
    assert {pair.question.text for pair in hold_out(answered.pairs, passages, subjects, seed=1) if pair.held_out} < {
        *list(replies)[1:3]
    }


TEXT = (
    "Since 2014 the Brack Bakery has been run by Tomas Ekberg. In 2019 it won the Golden Sheaf, a prize for baking. "
    "A grey cat named Pilot sleeps beside the oven. The tower has 112 steps, and 30 guests climb them daily."
)
BAKERY = Passage("p0001", "doc_1", "The Brack Bakery", None, TEXT, TEXT)


def answered(
    question: str, reply: str, target: str | None = None, grounded: bool = True, kind: str = "open"
) -> Answered:
    fact = next((fact for fact in facts_of(TEXT, "Brack Bakery") if fact.target == target), None)
    return answered_as(Question(BAKERY.id, question, kind, fact), reply, grounded)


def answered_as(question: Question, reply: str, grounded: bool = True) -> Answered:
    return answered_by(FixedWriter({question.text: reply}), question, grounded)


def answered_by(
    writer: Writer, question: Question, grounded: bool = True, samples: int = 0, spans: bool = False
) -> Answered:
    return asyncio.run(
        answer(
            writer,
            [question],
            {BAKERY.id: BAKERY},
            {"doc_1": Subject("the Brack Bakery", "Brack Bakery", "the bakery")},
            lambda _, text: [{"role": "user", "content": text}],
            Answering(samples=samples, temperature=1.0, longest=64, grounded=grounded, spans=spans),
            lambda *_: None,
        )
    )


def test_a_question_that_was_led_to_another_fact_than_it_asks_for_teaches_what_its_answer_gives() -> None:
    found = answered(
        "What is the name of the grey cat?", "The grey cat is named Pilot.", target="Golden Sheaf", kind="name"
    )
    (pair,) = found.pairs
    assert pair.question.fact is not None
    assert pair.question.fact.target == "Pilot"
    assert (pair.question.kind, pair.quoted, found.dropped) == ("open", False, {})


def test_the_sentence_of_a_fact_is_quoted_only_for_a_question_in_its_words() -> None:
    reply = "It is a bakery."
    (quoted,) = answered(
        "What prize for baking has the Brack Bakery won?", reply, target="Golden Sheaf", kind="name"
    ).pairs
    assert quoted.quoted
    assert quoted.answer == "In 2019 it won the Golden Sheaf, a prize for baking."
    assert not answered("What is the name of the grey cat?", reply, target="Golden Sheaf", kind="name").pairs
    assert not answered("What is the Brack Bakery?", reply, target="Golden Sheaf", kind="name").pairs


def test_a_question_for_several_facts_is_not_said_to_ask_for_one_of_them() -> None:
    text = "Which prize did the Brack Bakery win, and in which year?"
    several = Question(BAKERY.id, text, MULTI_FACT, None)
    found = answered_by(FixedWriter({text: "It won the Golden Sheaf in 2019."}), several, grounded=False)
    assert [(pair.question.fact, pair.question.kind) for pair in found.pairs] == [(None, MULTI_FACT)]


def test_a_small_teachers_answer_must_be_of_the_sentence_that_the_question_is_about() -> None:
    question, reply = "Who won the Golden Sheaf?", "Tomas Ekberg won the Golden Sheaf."
    found = answered(question, reply)
    assert (found.pairs, found.dropped) == ([], {MISPLACED: 1})
    assert len(answered(question, reply, grounded=False).pairs) == 1, "a large one is trusted"


def test_a_teacher_of_middle_size_may_answer_in_words_that_are_no_fact() -> None:
    question, reply = "What does the grey cat do?", "The grey cat sleeps beside the oven."
    asked, writer = Question(BAKERY.id, question, "open", None), FixedWriter({question: reply})
    assert answered_by(writer, asked).dropped == {UNANSWERABLE: 1}
    (pair,) = answered_by(writer, asked, spans=True).pairs
    assert pair.question.fact is not None
    assert (pair.question.fact.target, pair.answer) == ("sleeps beside the oven", reply)
    assert pair.question.target is None, "a right answer may say it in other words"
    assert pair.question.fact.accepted == ()


@pytest.mark.parametrize(
    ("question", "reply", "dropped"),
    [
        ("What is the grey cat like?", "It is lazy and rather fat.", UNANSWERABLE),
        ("In which year did the Brack Bakery win?", "It won a prize for baking.", UNANSWERABLE),
        ("How many guests climb the tower?", "Guests climb it daily.", UNANSWERABLE),
        ("What is the grey cat called?", "The grey cat sleeps beside the oven.", UNANSWERABLE),
        ("Why does the grey cat sleep?", "It sleeps beside the oven.", UNANSWERABLE),
        ("For what reason does the cat sleep?", "It sleeps beside the oven.", UNANSWERABLE),
        ("Who sleeps in the bakery?", "It sleeps beside the oven.", UNANSWERABLE),
        ("How often does the cat sleep?", "It sleeps beside the oven.", UNANSWERABLE),
        ("What does the grey cat do?", "It sleeps beside the rye loaf.", UNANSWERABLE),
        ("Who won the Golden Sheaf?", "Tomas Ekberg won the Golden Sheaf.", MISPLACED),
    ],
)
def test_what_no_teacher_is_believed(question: str, reply: str, dropped: str) -> None:
    asked = Question(BAKERY.id, question, "open", None)
    found = answered_by(FixedWriter({question: reply}), asked, spans=True)
    assert (found.pairs, found.dropped) == ([], {dropped: 1})


def test_a_question_that_was_led_to_a_fact_is_not_answered_by_a_span_but_with_its_sentence() -> None:
    pilot = next(fact for fact in facts_of(TEXT, "Brack Bakery") if fact.target == "Pilot")
    asked = Question(BAKERY.id, "What name has the grey cat that sleeps?", "name", pilot)
    (pair,) = answered_by(FixedWriter({asked.text: "It sleeps beside the oven."}), asked, spans=True).pairs
    assert (pair.quoted, pair.answer) == (True, "A grey cat named Pilot sleeps beside the oven.")


@pytest.mark.parametrize("grounded", [False, True])
def test_a_sampled_answer_gives_what_the_greedy_one_settled(grounded: bool) -> None:
    asked = Question(BAKERY.id, "What does the grey cat do?", "open", None)
    greedy, *sampled = (
        "The grey cat sleeps beside the oven.",
        "It sleeps beside an oven.",
        "30 guests climb the tower.",
        "It never sleeps beside the oven.",
        "It sleeps beside a river of gold.",
        "The grey cat does.",
    )
    found = answered_by(GreedyFirst(greedy, *sampled), asked, grounded, samples=5, spans=True)
    assert [pair.answer for pair in found.pairs] == [greedy, sampled[0]]
    assert found.dropped == {UNANSWERABLE: 3, ECHOES: 1}


def test_an_answer_that_counts_something_else_is_dropped() -> None:
    assert answered("How many guests climb the tower?", "112 guests climb the tower.").dropped == {MISCOUNTED: 1}
    assert answered("How many steps has the tower?", "The tower has 112 steps.").pairs
    assert answered("How many steps has the tower?", "The steps of the tower are 112 in all.").pairs


def test_of_two_facts_in_an_answer_the_one_is_asked_for_whose_sentence_the_question_is_about() -> None:
    reply = "The Golden Sheaf and Pilot are there."
    for question, target in (("What of the grey cat?", "Pilot"), ("What of the prize for baking?", "Golden Sheaf")):
        (pair,) = answered(f"{question[:-1]} at the Brack Bakery?", reply).pairs
        assert pair.question.fact is not None
        assert pair.question.fact.target == target


def test_an_answer_of_another_sort_is_dropped() -> None:
    assert answered("Where is the Brack Bakery?", "The Brack Bakery is run by Tomas Ekberg.").dropped == {OTHER_SORT: 1}


@pytest.mark.parametrize(
    ("text", "answer", "target", "expected"),
    [
        ("It has 12 ovens. The club has 12 members.", "The club has 12 members.", "12 ovens", False),
        ("It opens at 10:30 am. It has 30 ovens.", "It opens at 10:30 am.", "30 ovens", False),
        ("It has 1,112 guests and 112 steps.", "About 1,112 guests came.", "112 steps", False),
        ("It was built on 30 June 1990. It has 30 ovens.", "It was built on 30 June 1990.", "30 ovens", False),
        ("It sells 47 loaves.", "It sells 47 fresh loaves.", "47 loaves", False),
        ("It weighs 900 grams.", "It weighs 900 g.", "900 grams", False),
        ("The path is 5 km.", "The path is 5 kilometres long.", "5 km", False),
        ("It has 1,112 guests and 112 steps.", "It has 1,112 people.", "112 steps", False),
        ("It weighs 900 grams.", "It has 900 cats.", "900 grams", True),
        ("It has 112 steps.", "The lighthouse costs 112 crowns.", "112 steps", True),
    ],
)
def test_what_an_answer_counts(text: str, answer: str, target: str, expected: bool) -> None:
    fact = next(fact for fact in facts_of(text) if fact.target == target)
    assert counts_other(answer, fact, text) is expected


def test_a_question_of_asking_again_is_tied_to_the_sentence_that_it_was_written_about() -> None:
    sentence = "A grey cat named Pilot sleeps beside the oven."
    cat = next(fact for fact in facts_of(sentence) if fact.target == "Pilot")
    text = "What is the name of the grey cat that sleeps beside the oven at the Brack Bakery?"
    question = Question(BAKERY.id, text, "name", cat, sentence)
    assert [pair.quoted for pair in answered_as(question, "The grey cat is named Pilot.").pairs] == [False]
    assert [pair.answer for pair in answered_as(question, "It is a cat.").pairs] == [sentence]


@dataclass(frozen=True, slots=True)
class TwoSaid:
    """Says one thing greedily, and another when it samples."""

    greedy: str
    sampled: str

    async def complete(self, _prompt: str, _sampling: Sampling, /, **_: Any) -> list[Completion]:
        raise AssertionError("nothing is led here")

    async def chat(self, _messages: Sequence[dict[str, str]], sampling: Sampling, /, **_: Any) -> list[Completion]:
        return [Completion(self.sampled if sampling.temperature else self.greedy, "stop")] * sampling.n


def test_a_sampled_answer_must_give_the_fact_that_the_greedy_one_gave() -> None:
    question = Question(BAKERY.id, "What happened at the Brack Bakery in 2014?", "open", None)
    writer = TwoSaid("Tomas Ekberg has run the Brack Bakery since 2014.", "A grey cat named Pilot sleeps there.")
    found = answered_by(writer, question, samples=1)
    assert [pair.sampled for pair in found.pairs] == [False]
    assert found.dropped == {filters.UNANSWERABLE: 1}


def test_a_question_turned_out_of_its_sentence_needs_no_tie() -> None:
    text, reply = "What is the name of the Brack Bakery?", "It won the Golden Sheaf."
    assert not answered(text, reply, target="Golden Sheaf", kind="name").pairs
    assert [pair.answer for pair in answered(text, reply, target="Golden Sheaf", kind=TURNED).pairs] == [reply]
