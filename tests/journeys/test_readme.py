"""Every command of the README is run, in its order, as a reader would: on a fresh installation with the real model.

Only the address and the place of the program are put in. What cannot run here is named below, with the reason.
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from app.jobs.settings import DERIVED, Effort
from app.settings import Settings
from tests.installation import Installation, running

ROOT: Final = Path(__file__).parent.parent.parent
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")

NOT_RUN_HERE: Final = {
    "make demo": "run with a short document by test_demo.py",
    "make test": "this is it",
    "make install": "has run, or this would not",
    ".venv/bin/ingrain up": "is what the commands are run against",
    "INGRAIN_BASE_MODEL=Qwen/Qwen2.5-3B-Instruct .venv/bin/ingrain up": "needs a model hub",
    "INGRAIN_API_KEYS=a-long-secret docker compose up --build --detach": "needs Docker; CI checks the file",
    "python3 -m venv ~/vllm && ~/vllm/bin/pip install vllm==0.32.0": "needs a GPU; make test-vllm installs the CPU's",
    "INGRAIN_VLLM_PYTHON=~/vllm/bin/python .venv/bin/ingrain up --engine vllm": "run by app/supervisor/test_vllm.py",
    "CUDA_VISIBLE_DEVICES=1 .venv/bin/ingrain engine --engine vllm --port 8001": "needs a GPU",
    "CUDA_VISIBLE_DEVICES=2 .venv/bin/ingrain engine --engine vllm --port 8002": "needs a GPU",
    "CUDA_VISIBLE_DEVICES=0 INGRAIN_VLLM_URLS=http://127.0.0.1:8001,http://127.0.0.1:8002 .venv/bin/ingrain up": (
        "needs three GPUs"
    ),
    ".venv/bin/python -m benchmarks.squadshifts --data benchmarks/data/invented.jsonl --model ~/a-model": (
        "takes hours here; tests/benchmarks/test_squadshifts.py runs it on a tiny model"
    ),
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The commands of the README, without their comments, a continued one as a whole."""
    whole = [re.split(r"(?<![\\{,])\n(?! )", block.strip()) for block in blocks("sh")]
    return [re.sub(r"\s+# .*$", "", command) for block in whole for command in block]


def run(command: str, installation: Installation, folder: Path, **more: str) -> str:
    text = command.replace("http://127.0.0.1:8000", installation.url)
    text = text.replace(".venv/bin/ingrain", f"{sys.executable} -m app.cli").replace(
        "curl -s ", "curl -sS --fail-with-body "
    )
    environment = installation.environment | {"PYTHONPATH": str(ROOT), "INGRAIN_URL": installation.url} | more
    done = subprocess.run(
        ["bash", "-euc", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=800, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.timeout(1800)
def test_every_command_does_what_the_readme_says(installation: Installation, tmp_path: Path) -> None:
    told: dict[str, str] = {}
    with running(installation):
        for command in commands():
            if command in NOT_RUN_HERE:
                continue
            said = run(command, installation, tmp_path, **told)
            if "/v1/documents" in command:
                taken = json.loads(said)
                made = ("document",) if "make_adapter=false" in command else ("document", "adapter", "job")
                told |= {kind.upper(): taken[kind]["id"] for kind in made}
            elif "/events" in command:
                assert "event: succeeded" in said
            elif "chat/completions" in command:
                assert json.loads(said)["choices"][0]["message"]["content"]
            elif " ask " in command:
                assert said.strip()
        for script in blocks("python"):
            python = f"cat > client.py <<'END'\n{script}END\n{sys.executable} client.py"
            assert run(python, installation, tmp_path).strip()
    assert (tmp_path / "adapter.zip").stat().st_size > 1000


def test_the_list_of_what_is_not_run_is_up_to_date() -> None:
    assert NOT_RUN_HERE.keys() <= set(commands())


def test_every_setting_is_in_the_table() -> None:
    named = set(re.findall(r"`INGRAIN_([A-Z_]+)`", README))
    assert {name.upper() for name in Settings.model_fields} <= named


def test_the_dial_is_as_the_table_says() -> None:
    for name in DERIVED[Effort.STANDARD]:
        row = f"| `{name}` | " + " | ".join(f"{DERIVED[effort][name]:g}" for effort in Effort) + " |"
        assert row in README, row
