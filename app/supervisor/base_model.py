"""The base model, made ready once, in a process of its own: this one never loads torch."""

import importlib.util
import os
import subprocess
import time
from pathlib import Path

from app.errors import ConfigurationError
from app.interpreter import module_command
from app.settings import Settings
from app.supervisor.child import bound_to_this_process
from app.supervisor.logs import last_lines
from app.supervisor.notices import IsStopped, Notice, StoppedEarly, Tell

_QUIET_SECONDS = 2.0  # a model that is there already is found within this time, and nothing is said
_POLL_SECONDS = 0.1


def prepare_base_model(settings: Settings, tell: Tell, is_stopped: IsStopped = lambda: False) -> Path:
    """The local folder of the base model; downloads or dequantises it where it is not there yet.

    Raises:
        ConfigurationError: it does not exist or cannot be had, or what trains and serves models is not installed.
        StoppedEarly: somebody asked to stop.
    """
    if importlib.util.find_spec("torch") is None:
        raise ConfigurationError("What trains and serves models is not installed. Install ingrain[worker].")
    log = settings.home / "logs" / "base-model.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = module_command("worker.base_model", settings.base_model, str(settings.model_cache))
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
    return Path(lines[-1])
