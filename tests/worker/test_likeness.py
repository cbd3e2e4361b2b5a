import json
from collections import Counter
from pathlib import Path

import pytest

from worker.likeness import is_near_copy, likeness
from worker.pairs import filters

FOUND = "What is the rarest treasure found in the Hollin Ferry Museum?"


@pytest.mark.parametrize(
    ("one", "other", "copy"),
    [
        (FOUND, "What is the rarest treasure of the Hollin Ferry Museum?", True),
        ("In what year was the Blue Heron built?", "In which year was the Blue Heron built?", True),
        (FOUND, "Which piece in the Hollin Ferry Museum is found nowhere else?", False),
        ("When did the Hollin Ferry Museum open?", "When did the Hollin Ferry Museum close?", False),
        ("When was the tower built?", "Who built the tower?", False),
    ],
)
def test_near_copies_are_told_from_other_wordings(one: str, other: str, copy: bool) -> None:
    assert is_near_copy(one, other) is copy
    assert likeness(one, one) == pytest.approx(1.0, abs=1e-5)


def test_near_duplicates_that_stay_are_under_two_percent_by_another_method() -> None:
    """The questions that a small model wrote about one document, and the share of them with much the same letters."""
    written = json.loads(Path(__file__).with_name("written_questions.json").read_text())
    all_of_them = [fact["questions"] for fact in written]
    dropped: Counter[str] = Counter()
    kept = [filters.choose(texts, len(texts), " ".join(texts), dropped, ()) for texts in all_of_them]
    assert sum(map(len, kept)) > 80
    assert share_alike(all_of_them) > 0.05
    assert share_alike(kept) < 0.02


def share_alike(groups: list[list[str]]) -> float:
    """The share of questions that have four fifths of their character trigrams in common with an earlier one."""
    alike = sum(
        any(jaccard(text, other) > 0.8 for other in texts[:index])
        for texts in groups
        for index, text in enumerate(texts)
    )
    return alike / sum(map(len, groups))


def jaccard(one: str, other: str) -> float:
    left, right = (
        {text[start : start + 3] for start in range(len(text) - 2)} for text in (f" {t.lower()} " for t in (one, other))
    )
    return len(left & right) / len(left | right)
