"""The words of a passage that an answer gives."""

import pytest

from worker.pairs.facts import Kind, covers
from worker.pairs.phrases import phrase_of
from worker.pairs.sentences import sentence_with

SENTENCES = (
    "At half-staff the flag stands for respect or mourning.",
    "The flag of the harbour was once flown at night, by the light of two lamps.",
)


@pytest.mark.parametrize(
    ("question", "answer", "expected"),
    [
        ("What does a flag at half-staff stand for?", "It stands for respect or mourning.", "respect or mourning"),
        ("When was the flag of the harbour flown?", "It was once flown at night.", "night"),
        ("What lit the flag?", "The light of two lamps.", "light of two lamps"),
        ("Who made the flag?", "A sailmaker from the old town made it.", None),
        ("What stands for mourning?", "Mourning.", None),
        ("What is it?", "", None),
    ],
)
def test_the_longest_run_of_words_that_an_answer_gives_and_its_question_does_not(
    question: str, answer: str, expected: str | None
) -> None:
    found = phrase_of(answer, question, SENTENCES)
    assert (found and found.target) == expected
    if found:
        assert found.before + found.target + found.after == " ".join(SENTENCES)
        assert sentence_with(found, SENTENCES) == next(each for each in SENTENCES if found.target in each)
        assert found.kind is Kind.THING
        assert covers(answer, found)
