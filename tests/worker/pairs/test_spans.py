"""The span of a text that an answer gives."""

import pytest

from worker.pairs.facts import Kind, covers, facts_of
from worker.pairs.filters import leaks
from worker.pairs.sentences import sentence_with
from worker.pairs.spans import span_of

SENTENCES = (
    "At half-staff the flag stands for respect or mourning.",
    "The flag of the harbour was once flown at night, by the light of two lamps.",
    "The boats were not painted red but blue.",
    "A sailor’s knot holds the flag, which was first sewn by hand and grew worn.",
    "His highest diploma was a high school diploma.",
    "Rivers gain speed in spring.",
)
TEXT = " ".join(SENTENCES)


def span(question: str, answer: str) -> str | None:
    leaked = [fact for fact in facts_of(TEXT) if leaks(question, fact)]
    found = span_of(answer, question, SENTENCES, leaked)
    if found is None:
        return None
    assert found.before + found.target + found.after == TEXT
    assert sentence_with(found, SENTENCES) == next(each for each in SENTENCES if found.target in each)
    assert found.kind is Kind.SPAN
    assert covers(answer, found)
    return found.target


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What does a flag at half-staff stand for?", "It stands for respect or mourning.", "respect or mourning"),
        ("When was the flag of the harbour flown?", "It was once flown at night.", "night"),
        ("What lit the flag?", "The light of two lamps.", "light of two lamps"),
        ("What do rivers gain in spring?", "Speed.", "speed"),
        ("What is told of the flag?", "Its knot was sewn by hand.", "sewn by hand"),
        ("What colour had the boats?", "They were not red but blue.", "red but blue"),
        ("What holds the flag?", "A sailor's knot.", "sailor’s knot"),
        ("What colour had the boats, if not blue?", "They were not red.", "red"),
        ("What holds the flag?", "A sailor’s knot.", "sailor’s knot"),
    ],
)
def test_the_run_of_words_that_gives_most_of_what_an_answer_says_and_its_question_does_not(
    question: str, answer: str, expected: str
) -> None:
    assert span(question, answer) == expected


@pytest.mark.parametrize(
    ("question", "answer", "why"),
    [
        ("Who made the flag?", "A sailmaker from the old town made it.", "it adds to the text"),
        ("What stands for mourning?", "Mourning.", "it says nothing new"),
        ("What does the flag stand for?", "Respects, mournings.", "it has none of the words as they stand"),
        ("What is it?", "", "it says nothing"),
        ("What colour had the boats?", "They were painted red.", "the text denies it"),
        ("What does the flag stand for?", "It does not stand for respect or mourning.", "it denies the text"),
        (
            "What have the flag and the boats?",
            "They have a sailor's mourning, lamps and a diploma.",
            "no sentence says it all",
        ),
        ("What happened to the flag when it was sewn?", "It grew.", "a verb by itself is no answer"),
        ("When was the flag sewn by hand?", "First.", "nor is an ordinal"),
        ("What were the boats, if not red or blue?", "Not painted.", "nor is a participle"),
        ("What was his highest school diploma?", "It was a high school diploma.", "it is the rest of what was asked"),
    ],
)
def test_an_answer_that_gives_no_span(question: str, answer: str, why: str) -> None:
    assert span(question, answer) is None, why
