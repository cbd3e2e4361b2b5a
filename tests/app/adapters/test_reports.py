"""What an adapter's report says, from what examine found and what the job's record knows."""

from typing import Any

import pytest

from app.adapters import reports
from app.adapters.report_schemas import Report
from app.models import Adapter, Document, Job

ENGINE = {"requests": 23, "from_journal": 1, "prompt_tokens": 5273, "cached_tokens": 4720, "completion_tokens": 448}
FINISHED: dict[str, Any] = {
    "publish": {"seconds": 4.0, "summary": {"engine_version": "vllm 0.32.0"}},
    "read": {"seconds": 0.5, "summary": {"passages": 3}},
    "ask": {"seconds": 21.9, "summary": {"kept": 24, "dropped": {"near-duplicate": 9}, "engine": ENGINE}},
    "answer": {
        "seconds": 16.2,
        "summary": {"pairs": 22, "held_out": 3, "coverage": 0.95, "dropped": {"unanswerable": 2}, "engine": ENGINE}
        | {"dropped_questions": {"near-duplicate": 1, "leaks its answer": 12}, "near_duplicates": 0.0125},
    },
    "distil": {"seconds": 119.8, "summary": {"pairs": 19, "steps": 9, "device": "cpu"}},
}


GAPS: list[dict[str, Any]] = [
    {"passage_id": f"p{n}", "sentence": f"It has {n} halls.", "covered": True, "missing": [str(n)]} for n in range(120)
]
FLOOR = {"floor": "min_recall", "of": "old", "wanted": 0.5, "found": 0.25}


def report_of(found: dict[str, Any]) -> Report:
    adapter = Adapter(
        id="adp_1", base_model="tiny", base_revision="a" * 40, settings={"effort": "quick", "seed": 7}, report=found
    )
    adapter.failed_floors = [FLOOR]
    adapter.documents = [Document(id="doc_1", title="The Hollin Museum", replaced_by="doc_2")]
    adapter.job = Job(id="job_1", finished_stages=FINISHED)
    return reports.view(adapter, found, GAPS)


def recall(base: int, teacher: int, adapter: int, of: int = 12) -> dict[str, Any]:
    counts = {"base": base, "teacher": teacher, "adapter": adapter}
    return {"recall": {who: {"right": right, "of": of} for who, right in counts.items()}}


def test_recall_has_shares_and_intervals() -> None:
    report = report_of(recall(1, 11, 9))
    assert report.recall.adapter
    assert report.recall.adapter.model_dump() == {
        "right": 9,
        "of": 12,
        "accuracy": 0.75,
        "low": 0.4677,
        "high": 0.9111,
    }
    assert report.recall.retrieval is None
    assert report.recovered == 0.8


@pytest.mark.parametrize("found", [{}, recall(3, 3, 4), recall(5, 3, 4), recall(0, 0, 0, of=0)])
def test_nothing_is_recovered_where_the_teacher_knows_no_more(found: dict[str, Any]) -> None:
    assert report_of(found).recovered is None


def test_the_jobs_record_is_joined() -> None:
    report = report_of({"loss": [[1, 1.5, 0.0], [2, 0.5, 0.1]], "versions": {"torch": "2"}})
    assert [stage.stage for stage in report.stages] == ["read", "ask", "answer", "distil", "publish"]
    assert (report.stages[1].prompt_tokens, report.stages[1].cached_tokens) == (5273, 4720)
    assert report.stages[0].requests is None
    assert (report.pairs.trained, report.pairs.held_out) == (19, 3)
    assert list(report.pairs.dropped_questions.items()) == [("leaks its answer", 12), ("near-duplicate", 10)]
    assert report.pairs.near_duplicates == 0.0125
    assert report.pairs.dropped_answers == {"unanswerable": 2}
    assert report.coverage
    assert report.coverage.share == 0.95
    assert (report.seed, report.settings["effort"], report.training["steps"]) == (7, "quick", 9)
    assert [(point.step, point.distil, point.retention) for point in report.loss] == [(1, 1.5, 0.0), (2, 0.5, 0.1)]
    assert report.versions == {"torch": "2", "engine": "vllm 0.32.0"}


def test_what_it_lacks_is_told() -> None:
    report = report_of({})
    assert (report.degraded, [failed.model_dump() for failed in report.failed_floors]) == (True, [FLOOR])
    assert report.stale_documents == ["doc_1"]
    assert report.coverage
    assert [gap.model_dump() for gap in report.coverage.gaps] == GAPS[:100]


def test_drift_alone_is_retention_too() -> None:
    """As it was examined before there were general prompts."""
    retention = report_of({"drift": 0.1, "general": {"prompts": 24, "tokens": 501, "same_first_choice": 0.9}}).retention
    assert retention
    assert retention.drift
    assert (retention.drift.nats, retention.drift.tokens, retention.lost_points) == (0.1, 501, None)


def test_retention_is_given_as_it_was_examined() -> None:
    lost = {"question": "What is the opposite of hot?", "base": "Cold.", "adapter": "Kelp."}
    found = {"prompts": 200, "base_right": 100, "adapter_right": 99, "base_accuracy": 0.5, "adapter_accuracy": 0.495}
    drift = {"nats": 0.02, "tokens": 501, "same_first_choice": 0.9}
    retention = report_of({"retention": {**found, "lost_points": 0.5, "drift": drift, "lost": [lost]}}).retention
    assert retention
    assert retention.model_dump(include=set(found)) == found
    assert [prompt.model_dump() for prompt in retention.lost] == [lost]
    assert retention.won == 0
    assert (retention.lost_points_low, retention.lost_points_high) == (-0.88, 1.87)


def test_sections_that_only_some_adapters_have_are_kept() -> None:
    assert report_of({"news": {"more": 1}}).model_dump()["news"] == {"more": 1}


def test_old_knowledge_is_told_apart() -> None:
    answer = {"answer": "Pellrow", "right": True}
    item = {"question": "Who?", "expected": "Pellrow", "adapter": answer, "parent": answer}
    counts = {"adapter": {"right": 1, "of": 2}, "parent": {"right": 1, "of": 1}}
    old = report_of({"old": {"adapter_id": "adp_0", "recall": counts, "items": [item]}}).old
    assert old
    assert old.recall.parent
    assert (old.adapter_id, old.recall.parent.accuracy, old.recall.parent.low) == ("adp_0", 1.0, 0.2065)
    assert old.items[0].parent
    assert old.items[0].parent.answer == "Pellrow"
