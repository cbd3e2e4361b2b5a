import pytest

from benchmarks.injection.grading import grade


@pytest.mark.parametrize(
    ("answer", "right", "holds"),
    [
        ("It was the First Council, in 506.", ["First Council"], 1.0),
        ("a council", ["The Council"], 1.0),
        ("twenty bishops", ["20"], 1.0),
        ("The councillors", ["council"], 0.0),
        ("", ["x"], 0.0),
        ("the", ["the"], 0.0),
    ],
)
def test_an_answer_holds_a_right_one_as_whole_words(answer: str, right: list[str], holds: float) -> None:
    assert grade(answer, right).holds == holds


def test_f1_and_exact_match_are_those_of_the_best_answer() -> None:
    assert grade("the Syriac Church", ["churches", "Syriac church"]).exact == 1.0
    half = grade("Ada Pellrow founded it", ["Ada Pellrow", "no one"])
    assert half.f1 == pytest.approx(2 * (2 / 4) * 1 / (2 / 4 + 1))
    assert half.exact == 0.0
    assert grade("x", ["y"]).f1 == 0.0
