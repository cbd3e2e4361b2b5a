"""An adapter's report: what examine found, with what the adapter's row and its job's record know.

What can be reckoned is reckoned when the report is read, so that adapters made long ago have it too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.adapters.report_schemas import (
    Coverage,
    Drift,
    LossPoint,
    OldItem,
    OldKnowledge,
    OldRecall,
    Pairs,
    Recall,
    Report,
    ReportItem,
    Retention,
    Score,
    StageCost,
)
from app.adapters.schemas import DocumentRef, stale_documents
from app.intervals import paired, wilson
from app.jobs.floors import FailedFloor
from app.jobs.settings import without_marks
from app.models import STAGES, Adapter

Json = Mapping[str, Any]

_MOST_GAPS: Final = 100
_PUT_ELSEWHERE = {*Report.model_fields, "drift", "general"}


def view(adapter: Adapter, found: Json, gaps: Sequence[Json] = ()) -> Report:
    """The report of an adapter, of whose job examine has `found` this, and answer these `gaps` in its coverage."""
    finished: Json = adapter.job.finished_stages
    summaries = {stage: finished.get(stage, {}).get("summary") or {} for stage in STAGES}
    recall = Recall(**_scores(found))
    return Report(
        adapter_id=adapter.id,
        base_model=adapter.base_model,
        base_revision=adapter.base_revision,
        documents=[DocumentRef(id=document.id, title=document.title) for document in adapter.documents],
        stale_documents=stale_documents(adapter),
        ready_at=adapter.ready_at,
        degraded=adapter.degraded,
        failed_floors=[FailedFloor.model_validate(failed) for failed in adapter.failed_floors or []],
        recall=recall,
        recovered=_recovered(recall),
        retention=_retention(found),
        coverage=_coverage(summaries["answer"], gaps),
        items=[ReportItem.model_validate(item) for item in found.get("items", [])],
        old=_old(found["old"]) if "old" in found else None,
        pairs=_pairs(summaries),
        loss=[LossPoint(step=step, distil=distil, retention=kept) for step, distil, kept in found.get("loss", [])],
        stages=[_cost(stage, finished[stage]) for stage in STAGES if stage in finished],
        training=summaries["distil"],
        settings=without_marks(adapter.settings),
        seed=adapter.settings.get("seed"),
        versions=_versions(found, summaries["publish"]),
        # sections that only some adapters have
        **{name: value for name, value in found.items() if name not in _PUT_ELSEWHERE},
    )


def _scores(section: Json) -> dict[str, Score]:
    return {who: _score(counted) for who, counted in section.get("recall", {}).items()}


def _old(section: Json) -> OldKnowledge:
    items = [OldItem.model_validate(item) for item in section["items"]]
    return OldKnowledge(adapter_id=section["adapter_id"], recall=OldRecall(**_scores(section)), items=items)


def _score(counted: Json) -> Score:
    right, of = counted["right"], counted["of"]
    low, high = (round(end, 4) for end in wilson(right, of))
    return Score(
        right=right,
        of=of,
        accuracy=round(right / of, 4) if of else None,
        low=low if of else None,
        high=high if of else None,
    )


def _recovered(recall: Recall) -> float | None:
    scores = [score for score in (recall.base, recall.teacher, recall.adapter) if score and score.of]
    if len(scores) < 3:
        return None
    base, teacher, adapter = (score.right / score.of for score in scores)
    return round((adapter - base) / (teacher - base), 4) if teacher > base else None


def _retention(found: Json) -> Retention | None:
    if "retention" in found:
        retention = Retention.model_validate(found["retention"])
        if retention.prompts is None or retention.base_right is None or retention.adapter_right is None:
            return retention
        won = retention.adapter_right - retention.base_right + len(retention.lost)
        low, high = (round(100 * end, 2) for end in paired(len(retention.lost), won, retention.prompts))
        return retention.model_copy(update={"won": won, "lost_points_low": low, "lost_points_high": high})
    if "drift" in found:
        return Retention(drift=Drift(nats=found["drift"], **found.get("general", {})))
    return None


def _coverage(summary: Json, gaps: Sequence[Json]) -> Coverage | None:
    if "coverage" not in summary:
        return None
    told = {"share": summary["coverage"], "gaps": gaps[:_MOST_GAPS]}
    return Coverage.model_validate({**summary.get("coverage_details", {}), **told})


def _versions(found: Json, publish: Json) -> dict[str, str]:
    engine = publish.get("engine_version")
    return {**found.get("versions", {}), **({"engine": engine} if engine else {})}


def _pairs(summaries: Mapping[str, Json]) -> Pairs:
    answer = summaries["answer"]
    return Pairs(
        trained=summaries["distil"].get("pairs"),
        held_out=answer.get("held_out"),
        near_duplicates=answer.get("near_duplicates"),
        dropped_questions=_sum(summaries["ask"].get("dropped", {}), answer.get("dropped_questions", {})),
        dropped_answers=answer.get("dropped", {}),
    )


def _sum(*counted: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, the most first."""
    return dict(sum(map(Counter[str], counted), Counter[str]()).most_common())


def _cost(stage: str, finished: Json) -> StageCost:
    asked = (finished.get("summary") or {}).get("engine") or {}
    names = ("requests", "from_journal", "prompt_tokens", "cached_tokens", "completion_tokens")
    return StageCost(stage=stage, seconds=finished["seconds"], **{name: asked.get(name) for name in names})
