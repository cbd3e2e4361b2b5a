"""How far a job is, from 0 to 1, and how long it still takes: from its row alone."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from app.models import Job, JobStatus, now

# The share of each stage in the time of a job on the embedded engine, measured on the demo's document.
WEIGHTS: Final[Mapping[str, float]] = {
    "read": 0.01,
    "ask": 0.20,
    "answer": 0.15,
    "distil": 0.50,
    "examine": 0.10,
    "publish": 0.04,
}
_TOO_EARLY = 0.02  # below this share an ETA would be noise


def overall_progress(job: Job) -> float:
    """The share of the job that is done: its finished stages, and its part of the running one."""
    if job.status == JobStatus.SUCCEEDED:
        return 1.0
    share = sum(WEIGHTS.get(stage, 0.0) for stage in job.finished_stages)
    if job.stage and job.stage not in job.finished_stages and job.total > 0:
        share += WEIGHTS.get(job.stage, 0.0) * min(1.0, job.done / job.total)
    return round(min(1.0, share), 4)


def eta_seconds(job: Job, at: datetime | None = None) -> float | None:
    """Seconds until the job is done if it goes on as it did so far; None where that cannot be said."""
    share = overall_progress(job)
    if job.status != JobStatus.RUNNING or share < _TOO_EARLY:
        return None
    elapsed = sum(float(finished["seconds"]) for finished in job.finished_stages.values())
    if job.stage_started_at and job.stage not in job.finished_stages:
        elapsed += max(0.0, ((at or now()) - job.stage_started_at).total_seconds())
    return round(elapsed * (1 - share) / share, 1)


def progress_data(job: Job) -> dict[str, Any]:
    """The data of a `progress` event."""
    return {
        "stage": job.stage,
        "done": job.done,
        "total": job.total,
        "progress": overall_progress(job),
        "eta_seconds": eta_seconds(job),
    }
