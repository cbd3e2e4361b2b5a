"""An answer against a whole reference answer."""

import pytest

from worker.grading import agrees, is_expected


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


@pytest.mark.parametrize(
    ("answer", "accepted", "right"),
    [
        ("The mill has 112.", ["112 steps", "112"], True),
        ("The mill has 121 steps.", ["112 steps", "112"], False),
        ("The mill has 112 steps.", [], True),
        ("The mill is old.", [], False),
    ],
)
def test_what_was_asked_for_decides_or_else_the_reference(answer: str, accepted: list[str], right: bool) -> None:
    assert is_expected(answer, "The mill has 112 steps.", accepted) is right
