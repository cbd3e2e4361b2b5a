"""What is said of a job's events and of its stages' summaries."""

from app.api_client import Event
from app.commands.following import describe, sentence_of

FLOOR = {"floor": "min_recall", "wanted": 0.5, "found": 0.25}


def test_a_stages_summary_is_one_line() -> None:
    summary = {
        "recall": {"base": {"right": 0, "of": 9}, "adapter": {"right": 7, "of": 9}},
        "retention": {"prompts": 200, "base_right": 96, "adapter_right": 91, "drift": {"nats": 0.1}},
    }
    assert describe(summary) == (
        "right: base 0 of 9, adapter 7 of 9, general questions: base 96, adapter 91 of 200"
    )  # fmt: skip


def test_a_degraded_adapter_is_told_with_its_floors_and_the_alias_that_it_does_not_get() -> None:
    why = "It answers 25.0% of the held-out questions right; at least 50.0% were asked for (min_recall)."
    data = {"adapter_id": "adp_1", "failed_floors": [FLOOR], "held_back": None}
    assert sentence_of(Event(7, "degraded", data)) == f"[yellow]Degraded:[/] {why}"
    said = sentence_of(Event(7, "degraded", {**data, "held_back": "organ"}))
    assert said == (
        f"[yellow]Degraded:[/] {why} It can be asked by its id, and is not behind organ; PUT /v1/aliases/organ puts it "
        "there."
    )
