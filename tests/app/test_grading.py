"""Right and wrong answers."""

import pytest

from app.grading import is_right, normalise


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ("It was founded by Marta Velloso.", ["Marta", "Velloso"]),
        ("It is MARTA'S bakery", ["marta"]),
        ("Baked for 11 hours.", ["eleven hours"]),
        ("Baked for eleven hours.", ["11 hours"]),
        ("It has one hundred and twelve steps", ["112"]),
        ("In nineteen eighty-seven", ["1987"]),
        ("About two thousand and fourteen.", ["2014"]),
        ("Its formula is H2O", ["H₂O"]),
        ("1,500 metres", ["1500"]),
        ("Its **thick\nwalls** keep warm", ["thick walls"]),
        ("Café Zoë", ["cafe zoe"]),
    ],
)
def test_right(answer: str, accepted: list[str]) -> None:
    assert is_right(answer, accepted)


@pytest.mark.parametrize(
    ("answer", "accepted"),
    [
        ("", ["Marta"]),
        ("In 1987.", ["7", "87"]),
        ("It has 1120 steps", ["112"]),
        ("The walls are thick", ["thick walls"]),
        ("Seventy days", ["seven"]),
        ("The pilots", ["Pilot"]),
        ("three hundred", ["3", "100"]),
    ],
)
def test_wrong(answer: str, accepted: list[str]) -> None:
    assert not is_right(answer, accepted)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("one two three", "1 2 3"),
        ("forty minutes and twenty-one seconds", "40 minutes and 21 seconds"),
        ("two hundred thousand and five", "200005"),
        ("one and two", "1 and 2"),
        ("twenty twenty", "2020"),
    ],
)
def test_numbers(text: str, normal: str) -> None:
    assert normalise(text) == normal
