"""One stage of one job, in a process of its own: `python -m worker.stage_process FOLDER`.

FOLDER has `task.json`. The stage's files go to FOLDER/out, its summary to FOLDER/result.json, or the error to
FOLDER/error.json. Standard output carries progress alone, a JSON object a line; whatever libraries print goes to
standard error, which is the job's log. The process ends, with all that it started, when its worker ends.
"""

import ctypes
import importlib
import json
import logging
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final, NoReturn

from app.errors import ConfigurationError, EngineBusy, EngineUnavailable, IngrainError, NotFound, StageError
from app.jobs.settings import ResolvedSettings
from app.settings import get_settings
from app.store import get_store
from worker.logs import configure_logging
from worker.processes import ERROR_FILE, FETCHED_FOLDER, OUT_FOLDER, RESULT_FILE, TASK_FILE
from worker.stages import DocumentText, EngineAddress, Parent, Progress, StageInputs

_PR_SET_PDEATHSIG: Final = 1
_LOOK_SECONDS: Final = 0.5
_PROGRESS_SECONDS: Final = 0.2
_LOG = logging.getLogger(__name__)


def main(folder: Path) -> int:
    """Run the stage that `folder` describes; the exit status is 0 when its result was written."""
    progress_file = _keep_stdout_for_progress()
    task: dict[str, Any] = json.loads((folder / TASK_FILE).read_text())
    _end_with_parent(task["worker_pid"])
    configure_logging(get_settings().log_level)
    _LOG.info("%s stage %s begins", task["job_id"], task["stage"])
    began = time.monotonic()
    try:
        inputs = _gather(folder, task)
        summary = _run(inputs, folder, task["module"], progress_file)
    except IngrainError as error:
        _LOG.exception("%s stage %s failed", task["job_id"], task["stage"])
        retryable = isinstance(error, EngineBusy | EngineUnavailable)
        found = {"type": error.type, "title": error.title, "detail": error.detail, "retryable": retryable}
        _write_json(folder / ERROR_FILE, found)
        return 1
    except Exception as error:
        _LOG.exception("%s stage %s failed", task["job_id"], task["stage"])
        detail = (
            f"The stage {task['stage']} met an error that it does not know ({type(error).__name__}). What happened is "
            f"in the log of the worker's machine, work/{task['job_id']}/{task['stage']}.log under INGRAIN_HOME."
        )
        found = {"type": StageError.type, "title": StageError.title, "detail": detail, "retryable": False}
        _write_json(folder / ERROR_FILE, found)
        return 1
    seconds = round(time.monotonic() - began, 3)
    result = {"seconds": seconds, "summary": summary, "base_revision": inputs.base_revision}
    _write_json(folder / RESULT_FILE, result)
    _LOG.info("%s stage %s is done", task["job_id"], task["stage"])
    return 0


def _run(inputs: StageInputs, folder: Path, module: str, progress_file: int) -> dict[str, Any]:
    stage = importlib.import_module(module)
    summary: dict[str, Any] = stage.run(inputs, folder / OUT_FOLDER, _teller(progress_file))
    return summary


def _gather(folder: Path, task: dict[str, Any]) -> StageInputs:
    """What the stage may know: texts and finished artefacts from the store, the base model, the engine's address."""
    from worker.base_model import resolve_base_model

    settings, store = get_settings(), get_store()
    documents = tuple(
        DocumentText(
            id=document["id"],
            title=document["title"],
            text=store.read_bytes(f"documents/{document['id']}/text.txt").decode(),
        )
        for document in task["documents"]
    )
    key = settings.engine_api_key
    base_model = resolve_base_model(settings.base_model, settings.model_cache, settings.base_model_revision)
    _check_revision(task, settings.base_model_name, base_model.revision)
    return StageInputs(
        job_id=task["job_id"],
        adapter_id=task["adapter_id"],
        settings=ResolvedSettings.model_validate(task["settings"]),
        documents=documents,
        base_model=base_model.folder,
        base_model_name=settings.base_model_name,
        base_revision=base_model.revision,
        engine=EngineAddress(
            settings.engine_urls,
            key.get_secret_value() if key else None,
            slots=settings.max_loras,
            patience=settings.engine_patience_seconds,
            concurrency=settings.engine_concurrency,
        ),
        artefacts=_gather_artefacts(folder, task["job_id"], task["finished"]),
        scratch=Path(task["scratch"]),
        cache=settings.model_cache,
        max_lora_rank=settings.max_lora_rank,
        parent=_gather_parent(folder, task["parent"], base_model.revision) if task["parent"] else None,
    )


def _check_revision(task: dict[str, Any], base_model_name: str, found: str) -> None:
    """Refuse to go on from what another revision of the base model made: an adapter of two would fit neither."""
    began_with = task["base_revision"]
    if began_with and found != began_with:
        raise ConfigurationError(
            f"The job {task['job_id']} began with the revision {began_with} of the base model {base_model_name}, and "
            f"this worker has the revision {found}. Put the former one back (INGRAIN_BASE_MODEL, "
            "INGRAIN_BASE_MODEL_REVISION) and retry the job, or post the document again."
        )


def _gather_artefacts(folder: Path, job_id: str, finished: list[str]) -> Path:
    """A folder with a sub-folder for each finished stage: links into a local store, or what was downloaded."""
    artefacts = folder / "artefacts"
    shutil.rmtree(artefacts, ignore_errors=True)
    artefacts.mkdir()
    for stage in finished:
        local = get_store().local_folder(f"jobs/{job_id}/{stage}", cache=folder.parent / FETCHED_FOLDER)
        (artefacts / stage).symlink_to(local, target_is_directory=True)
    return artefacts


def _gather_parent(folder: Path, parent: dict[str, Any], revision: str) -> Parent:
    """The parent with what its job left.

    Raises:
        ConfigurationError: it was made on another revision of the base model.
        StageError: something of it is not in the store.
    """
    if parent["base_revision"] and parent["base_revision"] != revision:
        raise ConfigurationError(
            f"The parent {parent['adapter_id']} was made on the revision {parent['base_revision']} of the base model, "
            f"and this worker has the revision {revision}. Put the former one back (INGRAIN_BASE_MODEL_REVISION) and "
            "retry the job, or post the documents without a parent."
        )
    artefacts = folder / "parent"
    shutil.rmtree(artefacts, ignore_errors=True)
    artefacts.mkdir()
    places = {stage: f"jobs/{parent['job_id']}/{stage}" for stage in ("read", "answer", "examine")}
    for name, path in {**places, "adapter": f"adapters/{parent['adapter_id']}"}.items():
        try:
            local = get_store().local_folder(path, cache=folder.parent / FETCHED_FOLDER)
        except NotFound as error:
            raise StageError(
                f"{path} of the parent {parent['adapter_id']} is not in the store, so its pairs cannot be rehearsed. "
                "Put it back and retry the job, or post all documents again without a parent."
            ) from error
        (artefacts / name).symlink_to(local, target_is_directory=True)
    return Parent(parent["adapter_id"], tuple(parent["documents"]), tuple(parent["left_out"]), artefacts)


def _teller(progress_file: int) -> Progress:
    """The stage's `progress`: writes a line at most five times a second, and always the last one."""
    told_at = 0.0

    def tell(done: int, total: int) -> None:
        nonlocal told_at
        moment = time.monotonic()
        if done < total and moment - told_at < _PROGRESS_SECONDS:
            return
        told_at = moment
        os.write(progress_file, json.dumps({"done": done, "total": total}).encode() + b"\n")

    return tell


def _keep_stdout_for_progress() -> int:
    """Give progress a descriptor of its own, and turn everyone else's standard output into standard error."""
    progress_file = os.dup(1)
    os.dup2(2, 1)
    return progress_file


class _Terminated(SystemExit):
    """The worker asks the process to stop, or has ended itself."""


def _end_with_parent(worker_pid: int) -> None:
    """End when the worker ends, however it ends: at once by a signal on Linux, within a second elsewhere."""

    def on_terminate(_: int, __: object) -> None:
        # Once: a worker that dies sends one signal for each of its threads, and the next would break off our end.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise _Terminated

    def watch() -> None:
        while os.getppid() == worker_pid:
            time.sleep(_LOOK_SECONDS)
        _end_group()

    signal.signal(signal.SIGTERM, on_terminate)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _end_group() -> NoReturn:
    """End this process, its threads and all processes that it started, now."""
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


def _write_json(file: Path, value: dict[str, Any]) -> None:
    """Write a small file whole or not at all."""
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps(value))
    partial.replace(file)


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1])))
    except _Terminated:
        _end_group()
