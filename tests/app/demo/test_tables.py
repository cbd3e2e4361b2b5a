"""What the demo shows and writes."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from app.demo.exam import After, Answer, Before, result
from app.demo.questions import read_exam
from app.demo.tables import show_general, show_recall, show_times
from app.errors import ConfigurationError

RIGHT, WRONG = Answer("It is [Marta] Velloso.", True), Answer("I do not know. " * 20, False)


def test_the_bundled_exam_is_twelve_questions_and_five() -> None:
    exam = read_exam(None, None)
    assert len(exam.questions) == 12
    assert len(exam.general) == 5
    assert 150 <= len(exam.document.split()) <= 250


def test_tables_show_what_each_answered_and_how_many_were_right() -> None:
    exam = read_exam(None, None)
    before = Before(base=[WRONG] * 12, teacher=[RIGHT] * 12, general=[RIGHT] * 5)
    after = After(adapter=[RIGHT] * 9 + [WRONG] * 3, general=[RIGHT] * 4 + [WRONG])
    with Path("/dev/null").open("w") as nowhere:
        console = Console(file=nowhere, width=160, record=True)
        show_recall(console, exam.questions, before, after)
        show_general(console, exam.general, before, after)
        show_times(console, {"ask": 25.0, "distil": 50.0, "total": 100.0}, 80)
    shown = console.export_text()
    for words in ("0 of 12", "12 of 12", "9 of 12", "5 of 5", "4 of 5", "✓ It is [Marta] Velloso.", "✗ I do not know."):
        assert words in shown
    assert "50%" in shown
    assert "waiting" in shown
    assert "80 pairs" in shown

    written = result(before, after, seconds={"total": 1.0}, pairs=80, model="m", seed=3, effort="quick")
    assert (written["questions"], written["base_right"], written["teacher_right"], written["adapter_right"]) == (
        12, 0, 12, 9,
    )  # fmt: skip
    assert (written["general_before"], written["general_after"], written["seed"]) == (5, 4, 3)


@pytest.mark.parametrize(
    "content",
    ["no json", {}, {"questions": [{"question": "Who?"}]}, {"questions": [{"question": "?", "accepted": []}]}],
)
def test_questions_of_another_shape_are_refused(tmp_path: Path, content: object) -> None:
    file = tmp_path / "questions.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(ConfigurationError, match="does not hold questions"):
        read_exam(None, file)
