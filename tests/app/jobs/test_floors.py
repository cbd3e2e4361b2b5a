"""Which floors an adapter is below, from its report and its job's settings."""

from typing import Any

import pytest

from app.jobs.floors import FailedFloor, failed_floors, sentence_of
from app.jobs.service import resolve_settings
from app.jobs.settings import JobSettings, ResolvedSettings, resolve_stored, without_marks
from app.settings import Settings


def report(base: int = 100, adapter: int = 84, right: int = 3, of: int = 4) -> dict[str, Any]:
    return {
        "recall": {"base": {"right": 0, "of": of}, "adapter": {"right": right, "of": of}},
        "retention": {"prompts": 200, "base_right": base, "adapter_right": adapter},
    }


def settings(**chosen: float) -> ResolvedSettings:
    return resolve_settings(JobSettings.model_validate(chosen), Settings())


def test_an_adapter_below_a_floor_is_told_with_both_figures() -> None:
    assert failed_floors(report(), settings(min_retention=0.9, min_recall=0.8)) == [
        FailedFloor(floor="min_retention", wanted=0.9, found=0.84),
        FailedFloor(floor="min_recall", wanted=0.8, found=0.75),
    ]


def test_retention_is_a_share_of_what_the_base_model_has_right() -> None:
    assert failed_floors(report(base=60, adapter=45), settings(min_retention=0.75)) == []
    (failed,) = failed_floors(report(base=60, adapter=44), settings(min_retention=0.75))
    assert failed.found == 0.7333


def test_a_floor_is_reached_where_the_figure_is_equal_or_better() -> None:
    assert failed_floors(report(adapter=90), settings(min_retention=0.9, min_recall=0.75)) == []
    assert failed_floors(report(adapter=130), settings(min_retention=1, min_recall=0)) == []


UNMEASURED = [report(base=0, adapter=0, right=0, of=0), {}, {"recall": {}, "retention": {}}]


@pytest.mark.parametrize("unmeasured", UNMEASURED)
def test_a_floor_that_the_request_set_fails_where_it_cannot_be_measured(unmeasured: dict[str, Any]) -> None:
    failed = failed_floors(unmeasured, settings(min_retention=1, min_recall=0.5))
    assert failed == [
        FailedFloor(floor="min_retention", wanted=1, found=None),
        FailedFloor(floor="min_recall", wanted=0.5, found=None),
    ]
    assert [sentence_of(each.model_dump()) for each in failed] == [
        "Not measured: the base model answers no general question right; at least 100.0% were asked for "
        "(min_retention).",
        "Not measured: no question was held out; at least 50.0% were asked for (min_recall).",
    ]
    assert failed_floors(unmeasured, settings(min_retention=0, min_recall=0)) == []


@pytest.mark.parametrize("unmeasured", UNMEASURED)
def test_a_floor_of_the_installation_does_not(unmeasured: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_MIN_RETENTION", "1")
    monkeypatch.setenv("INGRAIN_MIN_RECALL", "1")
    assert failed_floors(unmeasured, settings()) == []
    (failed,) = failed_floors(unmeasured, settings(min_recall=1))
    assert failed.floor == "min_recall"


def test_which_floors_a_request_set_outlives_the_database() -> None:
    named = settings(min_recall=0.5)
    stored = named.model_dump(mode="json")
    assert resolve_stored(stored) == named
    assert JobSettings.model_validate(without_marks(stored)).min_recall == 0.5, "they can be posted again"
    older = {name: value for name, value in stored.items() if name not in {"named_floors", "rehearsal"}}
    assert resolve_stored(older) == named.model_copy(update={"named_floors": ()})


def child(new: tuple[int, int], old: tuple[int, int]) -> dict[str, Any]:
    section = {"adapter_id": "adp_1", "recall": {"adapter": {"right": old[0], "of": old[1]}}, "items": []}
    return {**report(right=new[0], of=new[1]), "old": section}


def test_a_child_that_forgot_what_its_parent_knew_is_below_the_floor_of_recall() -> None:
    wanted = settings(min_retention=0, min_recall=0.5)
    assert failed_floors(child(new=(4, 4), old=(8, 16)), wanted) == []
    forgot = failed_floors(child(new=(16, 16), old=(1, 4)), wanted)
    assert forgot == [FailedFloor(floor="min_recall", of="old", wanted=0.5, found=0.25)]
    missed = failed_floors(child(new=(1, 4), old=(16, 16)), wanted)
    assert missed == [FailedFloor(floor="min_recall", of="new", wanted=0.5, found=0.25)]
    (unmeasured,) = failed_floors(child(new=(0, 0), old=(16, 16)), wanted)
    assert (unmeasured.of, unmeasured.found) == ("new", None)
    assert "no question of the new documents was held out" in sentence_of(unmeasured.model_dump())
    assert failed_floors(child(new=(4, 4), old=(0, 0)), wanted) == []
    assert [sentence_of(each.model_dump()) for each in forgot + missed] == [
        "It answers 25.0% of its parent's held-out questions right; at least 50.0% were asked for (min_recall).",
        "It answers 25.0% of the new documents' held-out questions right; at least 50.0% were asked for (min_recall).",
    ]


def test_floors_that_are_not_chosen_are_the_installations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INGRAIN_MIN_RETENTION", "0.5")
    monkeypatch.setenv("INGRAIN_MIN_RECALL", "0.25")
    assert (settings().min_retention, settings().min_recall) == (0.5, 0.25)
    assert (settings(min_retention=0).min_retention, settings(min_recall=1).min_recall) == (0, 1)


def test_a_failed_floor_is_told_in_words() -> None:
    failed = [each.model_dump() for each in failed_floors(report(), settings(min_retention=0.9, min_recall=0.8))]
    assert [sentence_of(each) for each in failed] == [
        "It answers 84.0% as many general questions right as the base model does; at least 90.0% were asked for "
        "(min_retention).",
        "It answers 75.0% of the held-out questions right; at least 80.0% were asked for (min_recall).",
    ]
