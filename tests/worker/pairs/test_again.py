import asyncio
from collections import Counter

import pytest

from tests.worker.pairs.scripted import ScriptedWriter
from worker.pairs.again import BY_RULE_FREE, BY_RULE_LED, facts_in, kinds_again, lead_again, rule_again
from worker.pairs.asking import Asking
from worker.pairs.coverage import Gap
from worker.pairs.kinds import REVERSED, REWORDED
from worker.pairs.outline import outline_of
from worker.pairs.passages import Passage, split
from worker.pairs.writing import CLOZE, OPEN, REVERSED_BY_RULE, TOPIC

TEXT = "The Hollin Museum is old. The stone rattles when it rains. The Blue Heron hauls 30 boats of coal."
PASSAGES = split("doc_1", "The Hollin Museum", TEXT, words=1)
BY_ID = {passage.id: passage for passage in PASSAGES}
OUTLINES = {"doc_1": outline_of(PASSAGES)}
SUBJECTS = {"doc_1": OUTLINES["doc_1"].subject}
ASKING = Asking(per_fact=4, temperature=0.8, strong=False)


def gap(passage: Passage, *missing: str, covered: bool = False) -> Gap:
    return Gap(passage.id, passage.focus, covered, missing)


@pytest.mark.parametrize(
    ("which", "targets"),
    [
        (gap(PASSAGES[1]), ["it rains"]),
        (gap(PASSAGES[2]), ["Blue Heron", "30 boats", "coal"]),
        (gap(PASSAGES[2], "30", covered=True), ["30 boats"]),
        (Gap("p0009", "Red hats of size XL sell.", True, ("XL",)), ["XL"]),
    ],
)
def test_what_a_gap_is_asked_for(which: Gap, targets: list[str]) -> None:
    assert [fact.target for fact in facts_in(which, SUBJECTS["doc_1"])] == targets


def test_a_sentence_without_a_question_gets_requests_that_it_answers() -> None:
    found = {question.kind: question for question in rule_again([gap(PASSAGES[1])], BY_ID, SUBJECTS, BY_RULE_LED)}
    assert found[CLOZE].text == 'Complete this sentence: "At the Hollin Museum, the stone rattles when ..."'
    assert found[TOPIC].text == "What is said about the stone at the Hollin Museum?"
    assert {question.sentence for question in found.values()} == {"The stone rattles when it rains."}


def test_a_name_that_opens_its_sentence_is_asked_for_from_the_rest() -> None:
    missing = gap(PASSAGES[2], "Blue Heron", covered=True)
    texts = {question.kind: question.text for question in rule_again([missing], BY_ID, SUBJECTS, BY_RULE_LED)}
    assert texts[REVERSED_BY_RULE] == "What hauls 30 boats of coal?"
    assert CLOZE not in texts, "the sentence itself is asked for"


def test_a_model_that_asks_freely_gets_one_request_by_rule_for_each_fact() -> None:
    led, free = (
        Counter(question.fact for question in rule_again([gap(PASSAGES[2])], BY_ID, SUBJECTS, a_fact))
        for a_fact in (BY_RULE_LED, BY_RULE_FREE)
    )
    facts = facts_in(gap(PASSAGES[2]), SUBJECTS["doc_1"])
    assert [free[fact] for fact in facts] == [1, 1, 1]
    assert sum(led.values()) > sum(free.values())


def test_led_again_the_model_must_speak_of_the_sentence() -> None:
    writer = ScriptedWriter(going_on=lambda _: " does the stone do at the Hollin Museum")
    written = asyncio.run(lead_again(writer, [gap(PASSAGES[1])], BY_ID, OUTLINES, ASKING, 1))
    assert "What does the stone do at the Hollin Museum?" in [question.text for question in written.questions]
    assert {question.sentence for question in written.questions} == {PASSAGES[1].focus}
    assert {round(sampling.temperature, 1) for sampling in writer.samplings} == {1.1}
    vague = ScriptedWriter(going_on=lambda _: " is the Hollin Museum")
    assert not asyncio.run(lead_again(vague, [gap(PASSAGES[1])], BY_ID, OUTLINES, ASKING, 1)).questions


def test_a_strong_model_is_asked_for_kinds_about_the_sentences() -> None:
    reply = '["When are the stone of the Hollin Museum loud?", "What is loud at the Hollin Museum?", "Why?", "How?"]'
    writer = ScriptedWriter(answering=lambda _: reply)
    written = asyncio.run(kinds_again(writer, [gap(PASSAGES[1])], BY_ID, OUTLINES, ASKING))
    assert [question.kind for question in written.questions] == [REWORDED, REVERSED]
    assert "Ask only about this part of it: The stone rattles when it rains." in writer.asked[0]
    short = ScriptedWriter(answering=lambda _: '["When are the stone of the Hollin Museum loud?"]')
    (question,) = asyncio.run(kinds_again(short, [gap(PASSAGES[1])], BY_ID, OUTLINES, ASKING)).questions
    assert question.kind == OPEN
