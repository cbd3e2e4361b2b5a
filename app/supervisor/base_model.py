"""The base model, made ready once, in a process of its own: this one never loads torch."""

import importlib.util
import json
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from app.errors import ConfigurationError
from app.interpreter import module_command
from app.settings import Settings
from app.supervisor.child import bound_to_this_process
from app.supervisor.logs import last_lines
from app.supervisor.notices import IsStopped, Notice, StoppedEarly, Tell

_QUIET_SECONDS = 2.0  # a model that is there already is found within this time, and nothing is said
_POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """The base model's local folder, and its revision."""

    folder: Path
    revision: str


def prepare_base_model(settings: Settings, tell: Tell, is_stopped: IsStopped = lambda: False) -> PreparedModel:
    """The base model on this machine; downloads or dequantises it where it is not there yet.

    Raises:
        ConfigurationError: it does not exist, cannot be had or has another revision than the settings ask for, or what
            trains and serves models is not installed.
        StoppedEarly: somebody asked to stop.
    """
    if importlib.util.find_spec("torch") is None:
        raise ConfigurationError(
            "What trains and serves models is not installed: pip install -e '.[worker]' in the repository's folder."
        )
    log = settings.home / "logs" / "base-model.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [settings.base_model, str(settings.model_cache)]
    if settings.base_model_revision:
        words.append(settings.base_model_revision)
    command = module_command("worker.base_model", *words)
    started, was_told = time.monotonic(), False
    with log.open("wb") as errors:
        process = subprocess.Popen(
            bound_to_this_process(command),
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
        with process:
            while process.poll() is None:
                if is_stopped():
                    process.kill()
                    raise StoppedEarly
                if not was_told and time.monotonic() - started > _QUIET_SECONDS:
                    text = f"Preparing the base model {settings.base_model_name} (once)"
                    tell(Notice("preparing", text, {"model": settings.base_model_name, "log": str(log)}))
                    was_told = True
                time.sleep(_POLL_SECONDS)
            lines = process.stdout.read().splitlines() if process.stdout else []
    if process.returncode or not lines:
        reason = last_lines(log) or f"The base model {settings.base_model!r} (INGRAIN_BASE_MODEL) cannot be used."
        raise ConfigurationError(reason)
    told = json.loads(lines[-1])
    return PreparedModel(Path(told["folder"]), told["revision"])
