"""A base model's folder with nothing in it to compute with, and workers with small stages."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.models import STAGES
from app.settings import get_settings

ROOT = Path(__file__).parents[2]
QUICK = dict.fromkeys(STAGES, "tests.worker.small_stages.quick")

StartWorker = Callable[..., "subprocess.Popen[bytes]"]


def small(**stages: str) -> dict[str, str]:
    """The modules of the six stages: quick ones, but for those named, for example `small(distil="slow")`."""
    return {**QUICK, **{stage: f"tests.worker.small_stages.{module}" for stage, module in stages.items()}}


@pytest.fixture
def small_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home whose base model passes for one, with short leases, and with the tests' modules within reach."""
    model = home / "small-model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    (model / "tokenizer.json").write_text("{}")
    (model / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    (model / "model.safetensors").write_bytes(b"")
    monkeypatch.setenv("INGRAIN_BASE_MODEL", str(model))
    monkeypatch.setenv("INGRAIN_STOP_GRACE_SECONDS", "2")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    get_settings.cache_clear()
    return home


@pytest.fixture
def start_worker(small_home: Path) -> Iterator[StartWorker]:
    """Starts real workers, `start_worker(distil="slow")`; what is left of them ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(**stages: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tests.worker.serve", json.dumps(small(**stages))]
        with (small_home / "worker.log").open("ab") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=log, cwd=small_home, env=dict(os.environ))
        started.append(worker)
        return worker

    yield start
    for worker in started:
        if worker.poll() is None:
            worker.send_signal(signal.SIGCONT)
            worker.kill()
        worker.wait()
    if started:
        print((small_home / "worker.log").read_text())  # noqa: T201 - pytest shows it when the test fails


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended, but that nobody has waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
