"""`make demo` as a newcomer runs it, on a document of two sentences."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation
from tests.journeys.conftest import BASE_MODEL

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.timeout(1200)
def test_make_demo_writes_what_it_found(installation: Installation, tmp_path: Path) -> None:
    (tmp_path / "organ.md").write_text(
        "# The Pell Organ\n\nThe Pell Organ was built by Ada Tamsin. The Pell Organ has 47 pipes.\n"
    )
    asked = [{"question": "Who built the Pell Organ?", "accepted": ["Tamsin"]}]
    general = [{"question": "What is the capital of France?", "accepted": ["Paris"]}]
    (tmp_path / "exam.json").write_text(json.dumps({"questions": asked, "general": general}))
    options = (
        f"--effort quick --document {tmp_path}/organ.md --questions {tmp_path}/exam.json --json {tmp_path}/out.json"
    )
    command = ["make", "demo", f"ARGS={options}"]
    environment = installation.environment | {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1000, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    outcome: dict[str, Any] = json.loads((tmp_path / "out.json").read_text())
    assert outcome["questions"] == 1
    assert outcome["model"] == BASE_MODEL
    assert outcome["base_right"] == 0
    assert outcome["adapter_right"] in {0, 1}
    assert outcome["general_before"] == outcome["general_after"] == 1
    assert outcome["pairs"] > 5
    assert {"read", "ask", "answer", "distil", "examine", "publish", "total"} <= outcome["seconds"].keys()
    assert "Where the time went" in done.stdout
