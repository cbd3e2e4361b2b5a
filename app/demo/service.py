"""The demo's own service: a fresh home folder inside the user's, a free port, and nothing left of it afterwards."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.api_client import ClientError
from app.interpreter import module_command
from app.jobs.settings import DERIVED, Effort
from app.settings import Settings
from app.supervisor.child import bound_to_this_process
from app.supervisor.logs import last_lines
from app.supervisor.notices import Notice, Tell

_STOP_SECONDS = 60.0
_ITS_OWN = frozenset(
    f"INGRAIN_{name}"
    for name in (
        "HOST",
        "PORT",
        "API_KEYS",
        "API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "STORE_URL",
        "ENGINE_URL",
        "VLLM_URLS",
    )
)
_SLOTS = 2  # the demo's one adapter, and room to try another


@contextmanager
def demo_home(settings: Settings, keep: bool) -> Iterator[Path]:
    """A fresh home folder, which shares the prepared base models with the user's, and goes away unless it is kept."""
    settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings.model_cache.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="demo-", dir=settings.home))
    (home / "models").symlink_to(settings.model_cache)
    try:
        yield home
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


@contextmanager
def demo_service(home: Path, tell: Tell, effort: Effort, engine: str | None = None) -> Iterator[str]:
    """`ingrain up` on `home`; the URL at which it answers.

    The engine gets no more room for adapters than the demo needs: vLLM reserves memory, and computes, for all of it.

    Args:
        home: the demo's home folder.
        tell: hears what the service tells while it starts.
        effort: of the adapter that the demo makes.
        engine: `embedded` or `vllm`; None: as INGRAIN_ENGINE says.

    Raises:
        ClientError: it did not start.
    """
    environment = {name: value for name, value in os.environ.items() if name.upper() not in _ITS_OWN}
    environment |= {
        "INGRAIN_HOME": str(home),
        "INGRAIN_MAX_LORA_RANK": str(DERIVED[effort]["rank"]),
        "INGRAIN_MAX_LORAS": str(_SLOTS),
    }
    words = ["up", "--port", "0", "--json", *(["--engine", engine] if engine else [])]
    log = home / "up.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            bound_to_this_process(module_command("app.cli", *words)),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        )
    try:
        yield _wait_until_ready(process, tell, log)
    finally:
        _stop(process)


def _wait_until_ready(process: subprocess.Popen[str], tell: Tell, log: Path) -> str:
    for line in process.stdout or ():
        fields = json.loads(line)
        notice = Notice(fields.pop("event"), fields.pop("message"), fields)
        if notice.event == "ready":
            return str(fields["url"])
        if notice.event != "stopping":
            tell(notice)
    process.wait()
    raise ClientError(f"The demo's service did not start.\n{last_lines(log, 30)}")


def _stop(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.communicate(timeout=_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()  # what it started ends with it
        process.wait()
