"""The demo's way in and out. What it teaches a real model is a journey of its own."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

from tests.installation import installed, wait_until


def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    document, questions = tmp_path / "velm.md", tmp_path / "questions.json"
    document.write_text("The harbour of Velm was dug in 1742 by Ana Rook. It freezes each January.")
    questions.write_text('{"questions": [{"question": "Who dug it?", "accepted": ["Rook"]}]}')
    words = ["--document", str(document), "--questions", str(questions)]
    with installed(INGRAIN_MAX_LORA_RANK="8") as installation:
        demo = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "demo", "--effort", "thorough", *words],
            env=installation.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert demo.stdout
        _read_until("1", demo.stdout)  # its service is up
        with installation.worker_paused():
            _read_until("2", demo.stdout)  # the base model and the teacher were asked
            engine = installation.processes()[installation.process_of("worker.engine") or 0]
            assert "--max-loras 2 --max-lora-rank 64" in engine  # no more than it needs
            demo.send_signal(signal.SIGINT)
        said = demo.stdout.read()
        assert demo.wait() == 130, said
        assert "nothing is left running" in said
        wait_until(lambda: not installation.processes(), "everything ends", 5)
        assert [path.name for path in installation.home.iterdir()] == ["models"]


def _read_until(number: str, lines: IO[str]) -> None:
    line = ""
    while not line.startswith(number):
        line = lines.readline()
        assert line, f"the demo ended before its part {number}"


def test_a_demo_whose_service_does_not_start_says_why() -> None:
    with installed(INGRAIN_BASE_MODEL="/nowhere/at-all") as installation:
        done = installation.run("demo")
        assert done.returncode == 1
        assert "/nowhere/at-all" in done.stderr
        assert "Traceback" not in done.stderr
        assert installation.processes() == {}
