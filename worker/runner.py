"""Runs a job: takes the lease, then one process a stage, and writes down what came of each.

It knows nothing of what a stage does, and imports none of them: a stage is the name of a module.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.errors import ConfigurationError, EngineUnavailable, StageError
from app.jobs import leases, queries
from app.jobs.floors import failed_floors
from app.jobs.leases import Lease, LeaseLost
from app.jobs.settings import resolve_stored
from app.models import STAGES, Job
from app.settings import Settings
from app.store import get_store
from worker.lease import Keeper
from worker.logs import JobLog, job_log
from worker.owner import process_name
from worker.processes import (
    ERROR_FILE,
    FETCHED_FOLDER,
    OUT_FOLDER,
    RESULT_FILE,
    TASK_FILE,
    StageProcess,
    end_leftover,
    exit_reason,
)
from worker.sleep import EngineSleep

STAGE_MODULES: Final[Mapping[str, str]] = {stage: f"worker.stages.{stage}" for stage in STAGES}
STAGE_FILE: Final = "stage.json"  # in each published folder, so that it explains itself; see `StageResult`
WEIGHTS_FILE: Final = "adapter_model.safetensors"
_LOOK_SECONDS: Final = 0.1
_PROGRESS_SECONDS: Final = 0.5

StageResult = dict[str, Any]
"""What a stage's process tells when it ends well: {"seconds", "summary", "base_revision"}."""

Ending = Callable[[Session, Lease], None]
"""The last write to a job: succeed, fail, cancel, or give it back."""


class _StageFailed(Exception):
    """The stage told its error; to run it again would not help."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["detail"])
        self.error = error


class _StageDied(Exception):
    """The stage ended without a word, or for a reason that may pass; it is worth another attempt."""


class _Stopped(Exception):
    """The worker shuts down, or someone asked to cancel the job."""


class Runner:
    """Runs jobs, one at a time for each thread that calls `run`.

    Args:
        stages: the module of each stage.
        retry_pause_seconds: how long to wait after the first failure that may pass; doubled each time.
    """

    def __init__(
        self, settings: Settings, stages: Mapping[str, str] = STAGE_MODULES, retry_pause_seconds: float = 2.0
    ) -> None:
        self._settings = settings
        self._stages = stages
        self._retry_pause_seconds = retry_pause_seconds
        self._owner = process_name(os.getpid()) or "?"
        self._engine_sleep = EngineSleep(settings)
        self._running: set[str] = set()
        self._stopping = threading.Event()

    @property
    def idle(self) -> bool:
        """Whether no job runs here."""
        return not self._running

    def stop(self) -> None:
        """Shut down: stop the stage that runs, and let its job wait for another worker."""
        self._stopping.set()

    def run(self, job_id: str) -> None:
        """Run a job to its end, if it is to be had. A job that another worker holds, or that has ended, is left."""
        log = job_log(__name__, job_id)
        settings = self._settings
        with unit_of_work() as session:
            lease = leases.take(
                session,
                job_id,
                owner=self._owner,
                seconds=settings.lease_seconds,
                max_attempts=settings.max_attempts,
            )
        if lease is None:
            log.info("is not to be had: another worker has it, or it has ended")
            return
        log.info("taken (lease %d)", lease.token)
        self._running.add(job_id)
        keeper = Keeper(lease, seconds=settings.lease_seconds, heartbeat_seconds=settings.heartbeat_seconds)
        try:
            with keeper:
                keeper.write(self._work(keeper, log))
        except LeaseLost:
            log.warning("lease %d is lost; the stage was stopped and nothing more is written", lease.token)
        finally:
            self._running.discard(job_id)
            self._engine_sleep.wake_unless_training()

    def _work(self, keeper: Keeper, log: JobLog) -> Ending:
        """Run the stages that are not finished; return how the job ends."""
        try:
            return self._run_stages(keeper, log)
        except LeaseLost:
            raise
        except _Stopped:
            if keeper.cancel_requested.is_set():
                log.info("cancelled")
                return leases.cancel
            log.info("given back, because this worker shuts down")
            return leases.give_back
        except _StageFailed as failure:
            error = failure.error
            log.error("failed in the stage %s: %s", error["stage"], error["detail"])
            return partial(leases.fail, error=error)
        except _StageDied as death:
            reason = str(death)
            log.warning("%s", reason)
            return self._after_pause(keeper, reason)
        except Exception as error:
            log.exception("the worker met an unexpected error")
            return self._after_pause(keeper, f"The worker met an error that it does not know ({type(error).__name__}).")

    def _after_pause(self, keeper: Keeper, reason: str) -> Ending:
        """Try again later: wait with the lease held, so that a cause that passes has time to."""
        attempts = keeper.write(lambda session, lease: queries.get(session, lease.job_id).attempts)
        until = time.monotonic() + self._retry_pause_seconds * 2 ** (attempts - 1)
        while attempts < self._settings.max_attempts and time.monotonic() < until and not self._must_stop(keeper):
            time.sleep(_LOOK_SECONDS)
        return partial(leases.reclaim, reason=reason, max_attempts=self._settings.max_attempts)

    def _run_stages(self, keeper: Keeper, log: JobLog) -> Ending:
        job, sources = keeper.write(_load)
        self._check_base_model(job)
        finished: list[str] = []
        base_revision: str | None = None  # of the base model that the job began with
        for stage in STAGES:
            whole = get_store().is_whole(f"jobs/{job.id}/{stage}")
            if not whole:
                if stage in job.finished_stages:
                    job = self._forget(keeper, log, job, stage)
                inputs = {**sources, "finished": finished, "base_revision": base_revision}
                self._run_stage(keeper, log, job, stage, inputs)
            result: StageResult = json.loads(get_store().read_bytes(f"jobs/{job.id}/{stage}/{STAGE_FILE}"))
            base_revision = base_revision or result.get("base_revision")
            recording = partial(leases.finish_stage, stage=stage, seconds=result["seconds"], summary=result["summary"])
            if stage == "publish":
                return self._ready(job, log, recording, base_revision)
            if stage not in job.finished_stages:
                keeper.write(recording)
            finished.append(stage)
        raise AssertionError("the last stage is publish")

    def _forget(self, keeper: Keeper, log: JobLog, job: Job, first: str) -> Job:
        """A finished stage has lost its artefacts: what was made from them must not be mixed with new ones."""
        log.warning("the artefacts of the stage %s are gone; it and those after it are done again", first)
        keeper.write(partial(leases.forget_stages, first=first))
        work = self._settings.work_folder / job.id
        shutil.rmtree(work / FETCHED_FOLDER, ignore_errors=True)
        for stage in STAGES[STAGES.index(first) :]:
            get_store().delete(f"jobs/{job.id}/{stage}")
            shutil.rmtree(work / stage, ignore_errors=True)  # its checkpoints, too
        get_store().delete(f"adapters/{job.adapter_id}")
        return keeper.write(_load)[0]

    def _check_base_model(self, job: Job) -> None:
        served = self._settings.base_model_name
        if job.adapter.base_model != served:
            detail = (
                f"The adapter {job.adapter_id} was asked for on the base model {job.adapter.base_model}, but this "
                f"worker has {served} (INGRAIN_BASE_MODEL). Set it back and retry the job, or post the document again."
            )
            raise _StageFailed(_error(ConfigurationError.type, ConfigurationError.title, detail, job.stage or "read"))

    def _run_stage(self, keeper: Keeper, log: JobLog, job: Job, stage: str, inputs: dict[str, Any]) -> None:
        """Run a stage in its process, and make what it left visible in the store."""
        folder = self._settings.work_folder / job.id / stage
        end_leftover(folder, self._settings.stop_grace_seconds)
        _prepare(folder)
        scratch = folder / "scratch"
        scratch.mkdir(exist_ok=True)
        task = {
            "job_id": job.id,
            "adapter_id": job.adapter_id,
            "stage": stage,
            "module": self._stages[stage],
            "settings": resolve_stored(job.adapter.settings).model_dump(mode="json"),
            "scratch": str(scratch),
            "worker_pid": os.getpid(),
            **inputs,
        }
        (folder / TASK_FILE).write_text(json.dumps(task))
        awake = self._begin(keeper, stage)
        log.info("stage %s begins", stage)
        try:
            self._watch(keeper, folder, stage)
            result = _result(folder, stage)
        except _StageDied as death:
            raise _StageDied(" ".join([str(death), *awake])) from death
        except _StageFailed as failure:
            raise _StageFailed({**failure.error, "detail": " ".join([failure.error["detail"], *awake])}) from failure
        log.info("stage %s is done after %.1f s", stage, result["seconds"])
        # Another look at the lease: a worker that slept through it must not touch the store.
        keeper.write(partial(leases.renew, seconds=self._settings.lease_seconds))
        self._publish(job, stage, folder / OUT_FOLDER, result)

    def _begin(self, keeper: Keeper, stage: str) -> list[str]:
        """Record that the stage begins, with the engine asleep or awake as it needs; returns which is awake and why."""
        try:
            return self._engine_sleep.begin(keeper, stage, partial(self._stop_if_asked, keeper))
        except ConfigurationError as error:
            raise _StageFailed(_error(error.type, error.title, error.detail, stage)) from error
        except EngineUnavailable as error:
            raise _StageDied(error.detail) from error

    def _watch(self, keeper: Keeper, folder: Path, stage: str) -> None:
        """Run the stage's process until it ends, passing on its progress; end it when the job is not ours to run."""
        self._stop_if_asked(keeper)
        process = StageProcess(folder, folder.parent / f"{stage}.log")
        written, write_at = None, 0.0
        try:
            while (status := process.wait(_LOOK_SECONDS)) is None:
                self._stop_if_asked(keeper)
                moment = time.monotonic()
                if process.progress != written and moment >= write_at:
                    written, write_at = process.progress, moment + _PROGRESS_SECONDS
                    _write_progress(keeper, written)
        finally:
            process.stop(0 if keeper.lost.is_set() else self._settings.stop_grace_seconds)
        if process.progress != written:
            _write_progress(keeper, process.progress)
        if status != 0 and not (folder / ERROR_FILE).exists():
            raise _StageDied(f"The process of the stage {stage} {exit_reason(status)}.")

    def _stop_if_asked(self, keeper: Keeper) -> None:
        if self._must_stop(keeper):
            raise _Stopped

    def _must_stop(self, keeper: Keeper) -> bool:
        if keeper.lost.is_set():
            raise LeaseLost(keeper.lease.job_id)
        return keeper.cancel_requested.is_set() or self._stopping.is_set()

    def _publish(self, job: Job, stage: str, out: Path, result: StageResult) -> None:
        """Make a stage's files visible; those of publish are the adapter itself."""
        store = get_store()
        if stage == "publish":
            store.publish_folder(out, f"adapters/{job.adapter_id}")
            shutil.rmtree(out)
            out.mkdir()
        (out / STAGE_FILE).write_text(json.dumps(result))
        store.publish_folder(out, f"jobs/{job.id}/{stage}")

    def _ready(self, job: Job, log: JobLog, recording: Ending, base_revision: str | None) -> Ending:
        """The ending of a job whose adapter is in the store: stage, adapter, alias and job change together."""
        store = get_store()
        report = json.loads(store.read_bytes(f"jobs/{job.id}/examine/report.json"))
        failed = failed_floors(report, resolve_stored(job.adapter.settings))
        files = store.manifest(f"adapters/{job.adapter_id}")["files"]
        if WEIGHTS_FILE not in files:
            detail = f"The stage publish left no {WEIGHTS_FILE}."
            raise _StageFailed(_error(StageError.type, StageError.title, detail, "publish"))

        def ending(session: Session, lease: Lease) -> None:
            recording(session, lease)
            leases.succeed(
                session,
                lease,
                base_revision=base_revision,
                sha256=files[WEIGHTS_FILE]["sha256"],
                size_bytes=sum(file["bytes"] for file in files.values()),
                report=report,
                failed_floors=failed,
            )

        self._clear(job.id)
        log.info("all stages are done; the adapter %s becomes ready%s", job.adapter_id, ", degraded" if failed else "")
        return ending

    def _clear(self, job_id: str) -> None:
        """Give back the disk: all of the job's work folder but its logs."""
        for entry in (self._settings.work_folder / job_id).glob("*"):
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)


def _load(session: Session, lease: Lease) -> tuple[Job, dict[str, Any]]:
    """The job, and what it works on: the documents that are new, and the parent where there is one."""
    job = queries.get(session, lease.job_id)
    documents = queries.adapter_documents(session, job.adapter_id)
    parent = queries.parent_of(session, job.adapter)
    known = parent["documents"] if parent else ()
    new = [{"id": document_id, "title": title} for document_id, title in documents if document_id not in known]
    return job, {"documents": new, "parent": parent}


def _prepare(folder: Path) -> None:
    """An empty folder for the stage's next process; its scratch stays."""
    shutil.rmtree(folder / OUT_FOLDER, ignore_errors=True)
    (folder / OUT_FOLDER).mkdir(parents=True)
    for name in (RESULT_FILE, ERROR_FILE):
        (folder / name).unlink(missing_ok=True)


def _write_progress(keeper: Keeper, progress: tuple[int, int] | None) -> None:
    if progress is not None:
        keeper.write(partial(leases.record_progress, done=progress[0], total=progress[1]))


def _result(folder: Path, stage: str) -> StageResult:
    """What the stage's process left.

    Raises:
        _StageFailed: an error.
        _StageDied: an error that may pass.
    """
    if (folder / ERROR_FILE).exists():
        found = json.loads((folder / ERROR_FILE).read_text())
        if found["retryable"]:
            raise _StageDied(found["detail"])
        raise _StageFailed(_error(found["type"], found["title"], found["detail"], stage))
    result: StageResult = json.loads((folder / RESULT_FILE).read_text())
    return result


def _error(type_: str, title: str, detail: str, stage: str) -> dict[str, Any]:
    """A job's error, as users see it."""
    return {"type": type_, "title": title, "detail": detail, "stage": stage}
