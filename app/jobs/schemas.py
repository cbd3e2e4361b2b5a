"""Jobs on the wire."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from app.jobs.progress import eta_seconds, overall_progress
from app.models import Job, JobEvent, JobStatus


class JobRef(BaseModel):
    """Which job, and what it is doing."""

    id: str = Field(examples=["job_01k0000000000000000000000a"])
    status: JobStatus


class JobView(BaseModel):
    """A job: how far it is, where its time went, and why it failed."""

    id: str = Field(examples=["job_01k0000000000000000000000a"])
    adapter_id: str = Field(examples=["adp_01k0000000000000000000000a"])
    status: JobStatus
    stage: str | None = Field(description="read, ask, answer, distil, examine or publish; null before the first.")
    progress: float = Field(description="Share of the whole job that is done, from 0 to 1.")
    done: int = Field(description="Units of the stage that are done.")
    total: int = Field(description="Units of the stage; 0 while unknown.")
    eta_seconds: float | None = Field(description="Seconds until the job is done; null where that cannot be said.")
    timings: dict[str, float] = Field(description="Seconds by finished stage.")
    summaries: dict[str, dict[str, Any]] = Field(
        description="What each finished stage tells of its work. For ask and answer it has, as `engine`, what the last "
        "run of the stage asked: requests, those taken from the journal of a former run instead, prompt tokens and how "
        "many of them were in the prefix cache, completion tokens, and the seconds in which a request was under way."
    )
    attempts: int = Field(description="How often it was started.")
    cancel_requested: bool
    degraded: bool = Field(description="Whether its adapter is below a floor: see the adapter's `failed_floors`.")
    error: dict[str, Any] | None = Field(
        description="Why it failed: `stage`, `type`, `title`, `detail`.",
        examples=[{"stage": "ask", "type": "stage-failed", "title": "A stage of the job failed", "detail": "…"}],
    )
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, job: Job) -> "JobView":
        """The view of a row."""
        return cls(
            id=job.id,
            adapter_id=job.adapter_id,
            status=JobStatus(job.status),
            stage=job.stage,
            progress=overall_progress(job),
            done=job.done,
            total=job.total,
            eta_seconds=eta_seconds(job),
            timings={stage: finished["seconds"] for stage, finished in job.finished_stages.items()},
            summaries={stage: finished.get("summary") or {} for stage, finished in job.finished_stages.items()},
            attempts=job.attempts,
            cancel_requested=job.cancel_requested,
            degraded=job.adapter.degraded,
            error=job.error,
            created_at=job.created_at,
            started_at=job.started_at,
            finished_at=job.finished_at,
        )


class JobEventView(BaseModel):
    """Something that happened to a job."""

    number: int = Field(description="Counts from 1 within the job.")
    type: str = Field(examples=["stage_started"])
    data: dict[str, Any] = Field(examples=[{"stage": "ask"}])
    created_at: datetime

    @classmethod
    def of(cls, event: JobEvent) -> "JobEventView":
        """The view of a row."""
        return cls(number=event.number, type=event.type, data=event.data, created_at=event.created_at)
