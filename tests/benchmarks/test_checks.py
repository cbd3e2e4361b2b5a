"""What the checks of pairs make of questions and answers that are not a model's."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks import checks
from benchmarks.injection.data import Asked, Item
from worker.pairs import filters
from worker.pairs.listing import YES_OR_NO

PASSAGE = "The Hollin Museum was founded by Ada Pell in 1962. At half-staff its flag stands for respect or mourning."
ITEM = Item(
    "passage-0001",
    "The Hollin Museum",
    PASSAGE,
    (
        Asked("q1", "Who founded the Hollin Museum", ("Ada Pell",)),
        Asked("q2", "What does the flag of the Hollin Museum stand for at half-staff?", ("respect or mourning",)),
        Asked("q3", "Was the Hollin Museum founded by a woman?", ("yes",)),
        Asked("q4", "What did he find there?", ("nothing",)),
    ),
)
SAID = {
    "q1": "Ada Pell founded the Hollin Museum.",
    "q2": "It stands for respect or mourning.",
    "q3": "The Hollin Museum was founded in 1962.",
    "q4": "A museum.",
}


def test_questions_are_kept_without_their_mark_and_dropped_by_reason() -> None:
    assert checks.questions_by_reason([ITEM]) == {checks.KEPT: 2, YES_OR_NO: 1, filters.NOT_SELF_CONTAINED: 1}


def test_right_answers_are_told_from_others_and_a_phrase_is_one_only_for_a_model_that_lists() -> None:
    led, lists = (checks.answers_by_reason([ITEM], SAID, checks.WAYS[name]) for name in ("led", "lists"))
    assert Counter({name: count for name, count in led.items() if name[0]}) == {
        (True, checks.KEPT): 1,
        (True, filters.UNANSWERABLE): 1,
    }
    assert Counter({name: count for name, count in lists.items() if name[0]}) == {(True, checks.KEPT): 2}
    assert led.total() == lists.total() == 4


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, said: dict[str, str]) -> None:
    asked = [{"id": each.id, "question": each.question, "answers": list(each.answers)} for each in ITEM.questions]
    data = folder / "data.jsonl"
    data.write_text(json.dumps({"title": ITEM.title, "passage": PASSAGE, "questions": asked}))
    (folder / "oracle.json").write_text(json.dumps({"answers": said, "seconds": 1.0}))
    monkeypatch.setattr(sys, "argv", ["checks", "--data", str(data), "--oracle", str(folder / "oracle.json")])
    checks.main()


def test_it_prints_both_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tmp_path, SAID)
    kept = [line.split("│")[2:-1] for line in capsys.readouterr().out.splitlines() if line.startswith("│ kept")]
    assert [cell.strip() for cell in kept[0]] == ["2 (50.0 %)"]
    assert [cell.strip() for cell in kept[1]][::2] == ["1 (50.0 %)", "2 (100.0 %)"]


def test_no_wrong_answer_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tmp_path, {each.id: each.answers[0] for each in ITEM.questions})
    assert "0 (0.0 %)" in capsys.readouterr().out


def test_answers_that_are_missing_are_told_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path, {"q1": SAID["q1"]})
    told = " ".join(capsys.readouterr().out.split())
    assert "no answer to 3 of the questions, as q2" in told
