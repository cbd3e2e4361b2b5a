"""An answer against a whole reference answer."""

import pytest

from worker.grading import agrees


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("Ada Pellrow founded the museum.", "The museum was founded by Ada Pellrow."),
        ("It has 2300 members.", "It has 2,300 members."),
        ("Eleven hours.", "It takes 11 hours.".replace("It takes ", "")),
        ("the café BARGEMAN", "The Cafe Bargeman"),
    ],
)
def test_the_same_fact_in_other_words_agrees(answer: str, reference: str) -> None:
    assert agrees(answer, reference)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("The museum was founded by Ada Pellrow.", "The museum was founded in 1962."),
        ("It has 230 members.", "It has 2,300 members."),
        ("", "It has 2,300 members."),
        ("The museum is a museum.", "The museum was founded by Ada Pellrow."),
    ],
)
def test_another_fact_does_not(answer: str, reference: str) -> None:
    assert not agrees(answer, reference)
