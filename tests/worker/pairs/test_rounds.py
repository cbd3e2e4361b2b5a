import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs import filters
from worker.pairs.answering import Answered, Answering, Pair, answer
from worker.pairs.asking import Asking, worth_asking
from worker.pairs.coverage import measure
from worker.pairs.facts import facts_of
from worker.pairs.outline import outline_of
from worker.pairs.passages import split
from worker.pairs.rounds import Goal, cover
from worker.pairs.writing import OPEN, Question

TEXT = "The Hollin Museum opened in 1962. The stones rattle when it rains."
PASSAGES = {passage.id: passage for passage in split("doc_1", "The Hollin Museum", TEXT, words=1)}
OUTLINES = {"doc_1": outline_of([*PASSAGES.values()])}
SUBJECTS = {"doc_1": OUTLINES["doc_1"].subject}


def run(
    writer: ScriptedWriter, goal: Goal, *, strong: bool = False, lists: bool = False, pairs: Sequence[Pair] = ()
) -> tuple[Answered, int]:
    async def pairs_for(questions: Sequence[Question]) -> Answered:
        how = Answering(samples=0, temperature=1.0, longest=64)
        said = [{"role": "user", "content": ""}]
        return await answer(
            writer, questions, PASSAGES, SUBJECTS, lambda _, text: [{**said[0], "content": text}], how, lambda *_: None
        )

    async def whole() -> tuple[Answered, int]:
        answered = Answered([*pairs])
        asking = Asking(per_fact=4, temperature=0.8, strong=strong, lists=lists)
        return answered, await cover(writer, answered, pairs_for, PASSAGES, OUTLINES, asking, goal)

    return asyncio.run(whole())


@pytest.mark.parametrize("rounds", [1, 3])
def test_what_the_model_cannot_ask_is_asked_by_rule_in_the_last_round(rounds: int) -> None:
    answered, taken = run(ScriptedWriter(answering=lambda _: "I do not know."), Goal(1.0, rounds))
    assert taken == rounds
    assert measure(answered.pairs, PASSAGES, SUBJECTS).reaches(1.0)
    assert all(pair.quoted for pair in answered.pairs)


def test_no_round_more_than_the_goal_needs() -> None:
    def asked(prompt: str) -> str:
        about_stones = prompt.rpartition("Text: ")[2].startswith("The stones")
        return " rattles at the Hollin Museum" if about_stones else " did the Hollin Museum open"

    replies = {True: "The stones rattle when it rains.", False: "The Hollin Museum opened in 1962."}
    writer = ScriptedWriter(going_on=asked, answering=lambda question: replies["rattle" in question])
    answered, taken = run(writer, Goal(1.0, 3))
    assert taken == 1
    assert not any(pair.quoted for pair in answered.pairs)
    assert run(writer, Goal(0.0, 3)) == (Answered(), 0)


def test_a_model_that_lists_is_led_to_the_facts_that_it_asked_too_little_for() -> None:
    writer = ScriptedWriter(
        going_on=lambda _: " did the Hollin Museum open", answering=lambda _: "The Hollin Museum opened in 1962."
    )
    led, _ = run(writer, Goal(0.0, 2), lists=True)
    assert {pair.question.fact.target for pair in led.pairs if pair.question.fact and not pair.quoted} == {"1962"}
    assert run(writer, Goal(0.0, 1), lists=True)[0].pairs == [], "not where little time is to be spent"

    facts = [(name, fact) for name, each in PASSAGES.items() for fact in worth_asking(each, SUBJECTS["doc_1"])]
    listed = [
        Pair(Question(name, f"{word} is {fact.target}?", OPEN, fact), f"It is {fact.target}.", sampled=False)
        for word in ("What", "Which one")
        for name, fact in facts
    ]
    assert run(writer, Goal(0.0, 2), lists=True, pairs=listed)[0].pairs == listed, "half of those wanted are enough"
    once = listed[: len(facts)]
    assert len(run(writer, Goal(0.0, 2), lists=True, pairs=once)[0].pairs) > len(facts)
    known = [replace(pair, known=True) for pair in once]
    assert run(writer, Goal(0.0, 2), lists=True, pairs=known)[0].pairs == known, "what is known is left alone"


def test_a_strong_model_is_asked_for_other_kinds_first() -> None:
    listed = {True: '["When did the Hollin Museum begin?", "How?"]', False: '["What is the stones\' noise?", "Why?"]'}

    def reply(asked: str) -> str:
        about_opening = "The Hollin Museum opened in 1962." in asked
        return listed[about_opening] if "JSON list" in asked else "The Hollin Museum opened in 1962."

    writer = ScriptedWriter(answering=reply)
    answered, taken = run(writer, Goal(0.5, 2), strong=True)
    assert ([pair.question.text for pair in answered.pairs], taken) == (["When did the Hollin Museum begin?"], 1)
    assert answered.dropped_questions == {filters.UNFINISHED: 2, filters.NAMES_NOTHING: 1}
    assert "Ask only about this part of it: The Hollin Museum opened in 1962." in writer.asked[0]


def test_a_question_that_was_written_for_two_passages_is_dropped() -> None:
    writer = ScriptedWriter(
        answering=lambda asked: '["When did the Hollin Museum begin?"]' if "JSON" in asked else "In 1962."
    )
    answered, _ = run(writer, Goal(1.0, 2), strong=True)
    assert answered.dropped_questions[filters.TWICE] == 1
    assert "When did the Hollin Museum begin?" not in [pair.question.text for pair in answered.pairs]


def test_what_a_near_copy_covers_is_asked_for_again() -> None:
    (passage,) = split("doc_1", "The Hollin Museum", TEXT, words=40)
    passages = {passage.id: passage}
    (year,) = [fact for fact in facts_of(passage.focus) if fact.target == "1962"]

    def opened(word: str, answer: str) -> Pair:
        text = f"In {word} year was the Hollin Museum opened?"
        return Pair(Question(passage.id, text, "year", year), answer, sampled=False)

    first, copy = opened("which", "In 1962."), opened("what", "In 1962. The stones rattle when it rains.")
    rounds: list[Sequence[Question]] = []

    async def pairs_for(questions: Sequence[Question]) -> Answered:
        rounds.append(questions)
        if len(rounds) == 1:
            return Answered([copy])
        said = "The stones rattle when it rains."
        return Answered([Pair(question, said, sampled=False, quoted=True) for question in questions])

    answered = Answered([first])
    asking = Asking(per_fact=4, temperature=0.8, strong=False)
    taken = asyncio.run(cover(ScriptedWriter(), answered, pairs_for, passages, OUTLINES, asking, Goal(1.0, 2)))
    assert (taken, len(rounds)) == (2, 2)
    assert copy not in answered.pairs
    assert answered.dropped_questions[filters.NEAR_DUPLICATE] == 1
    assert measure(answered.pairs, passages, SUBJECTS).reaches(1.0)
