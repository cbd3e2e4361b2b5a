import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from worker.pairs.asking import Asking, ask, leads_for, samples_for
from worker.pairs.facts import facts_of
from worker.pairs.leads import leads, noun_of
from worker.pairs.outline import outline_of
from worker.pairs.passages import split
from worker.pairs.subjects import Subject, subject_of
from worker.pairs.writer import Completion, Sampling
from worker.pairs.writing import CLOZE, IN_PLACE, by_rule, ground, questions_in, write_plainly

MUSEUM = Subject("the Hollin Museum", "Hollin Museum", "the museum")
KETTLE = Subject("the Tarlow K7", "Tarlow K7", "the kettle")


@pytest.mark.parametrize(
    ("title", "text", "name", "generic"),
    [
        ("The Hollin Museum", "The Hollin Museum is old. The museum is red.", "the Hollin Museum", "the museum"),
        ("Tarlow K7 Field Kettle: Guide", "The Tarlow K7 boils. The kettle is red.", "the Tarlow K7", "the kettle"),
        ("Acme", "Acme grew.", "Acme", None),
        ("notes.txt", "Nothing of the kind.", "notes.txt", None),
        ("", "Text.", "", None),
    ],
)
def test_what_a_document_is_about(title: str, text: str, name: str, generic: str | None) -> None:
    subject = subject_of(title, [text])
    assert (subject.name, subject.generic) == (name, generic)


@pytest.mark.parametrize(
    ("sentence", "target", "expected"),
    [
        ("It opened in 1962.", "1962", "In which year"),
        ("The mill was founded by Ada Pell.", "Ada Pell", "By whom"),
        ("It stands in the town of Greyford.", "Greyford", "In which town"),
        ("A fish pie known as the Bargeman is served.", "Bargeman", "What is the name of the fish pie"),
        ("The museum holds 460 model boats.", "460 model boats", "How many model boats"),
        ("A ticket costs 8 florins.", "8 florins", "How much"),
        ("Tours last 75 minutes.", "75 minutes", "How long"),
        ("The director has been Ada Pell.", "Ada Pell", "Who is the director"),
        ("It shut because the water had ruined it.", "because the water had ruined it", "Why"),
        ("The museum opened in 1962.", "1962", "In which year did the Hollin Museum"),
    ],
)
def test_leads_suit_the_fact(sentence: str, target: str, expected: str) -> None:
    (fact,) = [fact for fact in facts_of(sentence, MUSEUM.bare) if fact.target == target]
    assert expected in leads(fact, MUSEUM)


@pytest.mark.parametrize(
    ("sentence", "target", "noun"),
    [
        ("A boat comes up the river Sarne.", "Sarne", "river"),
        ("She kept the shoebox that Ada Pell had.", "Ada Pell", None),
        ("It is known for the fact that Ada Pell slept there.", "Ada Pell", None),
        ("They liked the way the Bargeman was cooked.", "Bargeman", None),
        ("It lies on the shore opposite Tarn Island.", "Tarn Island", None),
        ("They asked for the reason why Ada Pell left.", "Ada Pell", None),
        ("He sold the ship named Ada Pell.", "Ada Pell", "ship"),
        ("A fish pie known as the Bargeman is served.", "Bargeman", "fish pie"),
    ],
)
def test_a_name_is_of_the_noun_before_it_and_not_of_a_word_that_leads_to_it(
    sentence: str, target: str, noun: str | None
) -> None:
    (fact,) = [fact for fact in facts_of(sentence) if fact.target == target]
    assert noun_of(fact) == noun


@pytest.mark.parametrize(
    ("question", "subject", "expected"),
    [
        ("How old is the museum?", MUSEUM, "How old is the Hollin Museum?"),
        ("How much is a ticket?", MUSEUM, "How much is a ticket at the Hollin Museum?"),
        ("What is its motto?", MUSEUM, "What is the Hollin Museum's motto?"),
        ("What is the lid?", KETTLE, "What is the lid of the Tarlow K7?"),
        ("How long is charging?", KETTLE, "For the Tarlow K7, how long is charging?"),
        ("Who built the Blue Heron?", MUSEUM, "Who built the Blue Heron?"),
    ],
)
def test_a_question_is_made_to_name_its_subject(question: str, subject: Subject, expected: str) -> None:
    assert ground(question, subject, frozenset({subject.bare.lower(), "blue heron"})) == expected


def test_questions_by_rule_name_the_subject_and_stop_at_the_fact() -> None:
    text = "The Hollin Museum stands by a river. It was founded by Ada Pell in 1962. A ticket costs 8 florins."
    passages = split("doc_1", "The Hollin Museum", text, words=1)
    written = [
        question.text
        for passage in passages
        for fact in facts_of(passage.focus, MUSEUM.bare)
        for question in by_rule(passage, fact, MUSEUM)
    ]
    assert "The Hollin Museum was founded by whom?" in written
    long = f"The Hollin Museum by the river, {'far ' * 20}from here, was founded in 1962."
    (passage,) = split("doc_1", "The Hollin Museum", long, words=1)
    (year,) = [fact for fact in facts_of(passage.focus, MUSEUM.bare) if fact.target == "1962"]
    assert {CLOZE} == {question.kind for question in by_rule(passage, year, MUSEUM)} & {CLOZE, IN_PLACE}
    assert 'Complete this sentence: "The Hollin Museum was founded by Ada Pell in ..."' in written
    assert "At the Hollin Museum, a ticket costs how many florins?" in written
    assert "Who is Ada Pell?" in written
    assert "Who founded the Hollin Museum?" in written
    assert "By whom was the Hollin Museum founded?" in written


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('Sure! ["Who?", "What \\"x\\"?"] Done.', ["Who?", 'What "x"?']),
        ('```json\n[{"question": "Who?"}]\n```', ["Who?"]),
        ('["Who?", "What is cut o', ["Who?"]),
        ('["Who\tis\x0b it?", "Why?"]', ["Who\tis\x0b it?", "Why?"]),
        ('["Who\tis\x0b it?", "What is cut o', ["Who\tis\x0b it?"]),
        ("1. Who is it?\nSome words.\n2. Why?", ["1. Who is it?", "2. Why?"]),
        ("[1, null]", []),
        ("", []),
    ],
)
def test_questions_are_read_from_any_reply(reply: str, expected: list[str]) -> None:
    assert questions_in(reply) == expected


class Replies:
    """A writer that answers what it was given, to try what is done with replies that no small model gives."""

    def __init__(self, reply: str) -> None:
        self.reply = reply

    async def complete(self, _prompt: str, _sampling: Sampling, /, **_: Any) -> list[Completion]:
        return [Completion(self.reply, "stop")]

    async def chat(self, _messages: Sequence[dict[str, str]], _sampling: Sampling, /, **_: Any) -> list[Completion]:
        return [Completion(self.reply, "stop")]


def test_nothing_unsaid_is_asked_by_rule_about_a_text_without_a_subject() -> None:
    passages = split("doc_1", "", "The organ was built in 1974. It stands on Gull Hill.", words=1)
    subject = outline_of(passages).subject
    (hill,) = facts_of(passages[1].focus)
    assert [question.text for question in by_rule(passages[1], hill, subject)] == ["Tell me about Gull Hill."]
    assert not any(lead.endswith(" ") for lead in leads(hill, subject))
    (year,) = [fact for fact in facts_of(passages[0].focus) if fact.target == "1974"]
    assert "The organ was built in which year?" in [each.text for each in by_rule(passages[0], year, subject)]


def test_questions_by_rule_stop_at_the_fact_itself_and_ask_for_money_as_such() -> None:
    def asked(sentence: str, target: str) -> list[str]:
        (passage,) = split("doc_1", "The Corrin Hall", sentence, words=1)
        (fact,) = [fact for fact in facts_of(sentence) if fact.target == target]
        return [each.text for each in by_rule(passage, fact, subject_of("The Corrin Hall", [sentence]))]

    assert asked("Visitors from Rhinebeck who see the Corrin Hall reach the Rhine.", "Rhine")[:2] == [
        'Complete this sentence: "Visitors from Rhinebeck who see the Corrin Hall reach ..."',
        "Visitors from Rhinebeck who see the Corrin Hall reach what?",
    ]
    assert asked("Each of the 24 gates of the Corrin Hall has 2.", "2")[-1] == (
        "Each of the 24 gates of the Corrin Hall has how many?"
    )
    assert asked("A ticket to the Corrin Hall costs $12.", "$12")[-1] == "A ticket to the Corrin Hall costs how much?"


def test_plainly_written_questions_are_filtered_and_counted() -> None:
    passages = split("doc_1", "The Hollin Museum", "The Hollin Museum opened in 1962.", words=1)
    reply = (
        '["When did the Hollin Museum open?", "When did it open?", "In the text, when was the Hollin Museum opened?"]'
    )
    written = asyncio.run(write_plainly(Replies(reply), passages[0], outline_of(passages), 3, (), Sampling()))
    assert [question.text for question in written.questions] == ["When did the Hollin Museum open?"]
    assert written.dropped.total() == 2


def test_a_question_that_fits_two_passages_is_dropped() -> None:
    text = "The Hollin Museum was founded by Ada Pell. Its compass belonged to Idris Vane."
    passages = split("doc_1", "The Hollin Museum", text, words=1)
    asking = Asking(per_fact=4, temperature=1.0, strong=False)
    asked = asyncio.run(ask(Replies(" owns the Hollin Museum"), passages, asking, lambda *_: None))
    assert not [question for question in asked.questions if question.text == "Who owns the Hollin Museum?"]
    one = asyncio.run(ask(Replies(" owns the Hollin Museum"), passages[:1], asking, lambda *_: None))
    assert [question.text for question in one.questions].count("Who owns the Hollin Museum?") == 1


@pytest.mark.parametrize(("per_fact", "requests"), [(1, 4), (3, 6), (6, 18), (12, 32)])
def test_what_is_asked_of_the_model_follows_what_is_wanted(per_fact: int, requests: int) -> None:
    assert leads_for(per_fact) * samples_for(per_fact) == requests


def test_a_strong_model_that_lists_nothing_is_led_after_all() -> None:
    class Silent:
        """Answers a plain request with an empty list, as a small model does, and goes on from a led prompt."""

        async def chat(self, _messages: Sequence[dict[str, str]], _sampling: Sampling, /, **_: Any) -> list[Completion]:
            return [Completion("```json\n[]\n```", "stop")]

        async def complete(self, _prompt: str, sampling: Sampling, /, **_: Any) -> list[Completion]:
            return [Completion(" was the Hollin Museum opened", "stop")] * sampling.n

    passages = split("doc_1", "The Hollin Museum", "The Hollin Museum was opened in 1962 by Ada Pell.", 1)
    asked = asyncio.run(ask(Silent(), passages, Asking(4, 0.8, strong=True), lambda *_: None))
    assert "In which year was the Hollin Museum opened?" in [question.text for question in asked.questions]
