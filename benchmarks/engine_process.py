"""Engines for a benchmark: started on free ports as `ingrain up` starts one, and ended with it."""

import os
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from app.errors import ConfigurationError, EngineUnavailable
from app.settings import Settings
from app.supervisor.part import Part
from app.supervisor.plan import engine_command, engine_environment, why_not_ready
from app.supervisor.ports import free_port
from app.supervisor.vllm import check_vllm

EngineName = Literal["embedded", "vllm"]
ENGINES: Final[tuple[EngineName, ...]] = ("embedded", "vllm")

_START_SECONDS: Final = 900.0  # a large model that vLLM compiles for
_STOP_SECONDS: Final = 30.0
_DYING_SECONDS: Final = 3.0
_LOOK_SECONDS: Final = 0.2
_QUIET_THREADS: Final = {"OMP_WAIT_POLICY": "PASSIVE"}  # as `ingrain up` has it


def engine_settings(
    engine: EngineName, model: Path, *, max_loras: int, max_lora_rank: int, vllm_python: Path | None
) -> Settings:
    """The settings of an installation with this engine; INGRAIN_VLLM_ARGUMENTS and the like count too.

    Raises:
        ConfigurationError: the folder holds no base model, or vLLM is not installed.
    """
    if not (model / "config.json").is_file():
        raise ConfigurationError(f"{model} is no folder of a base model: it has no config.json. Name one with --model.")
    settings = Settings(
        engine=engine,
        base_model=str(model.absolute()),
        max_loras=max_loras,
        max_lora_rank=max_lora_rank,
        vllm_python=vllm_python,
    )
    if engine == "vllm":
        check_vllm(settings)
    return settings


@contextmanager
def running_engine(settings: Settings, dtype: str, logs: Path, arguments: Sequence[str] = ()) -> Iterator[str]:
    """The URL of a running engine: `running_engines`, one of them."""
    with running_engines(settings, dtype, logs, arguments, 1) as (url,):
        yield url


@contextmanager
def running_engines(
    settings: Settings, dtype: str, logs: Path, arguments: Sequence[str], many: int
) -> Iterator[tuple[str, ...]]:
    """The URLs of running engines that ask for no key. Use it in the main thread.

    Args:
        settings: of `engine_settings`.
        dtype: what the engines compute in: auto, float32 or bfloat16.
        logs: the folder for their logs.
        arguments: further ones of their command.
        many: how many of them, side by side.

    Raises:
        ConfigurationError: one does not start, or ends while it is used; the error has the last lines of its log.
    """
    parts: list[Part] = []
    try:
        for _ in range(many):
            parts.append(_part(settings, dtype, logs, arguments, {part.address for part in parts}))
            parts[-1].start()
        for part in parts:
            _wait_until_ready(part)
        yield tuple(part.address for part in parts)
        if ended := [part for part in parts if not part.is_running]:  # its work went to another one
            raise ConfigurationError(_how_it_ended(ended[0]))
    except EngineUnavailable as error:
        dead = _dead(parts)
        if dead is None:
            raise
        raise ConfigurationError(_how_it_ended(dead)) from error
    finally:
        for part in parts:
            part.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        while any(part.is_running for part in parts) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        for part in parts:
            part.kill()


def _part(settings: Settings, dtype: str, logs: Path, arguments: Sequence[str], taken: Collection[str]) -> Part:
    """An engine on a port of its own, not started yet; the one after the first has its number in its log's name."""
    while (url := f"http://127.0.0.1:{free_port()}") in taken:
        pass
    number = f"-{len(taken) + 1}" if taken else ""
    return Part(
        name=settings.engine,
        command=[
            *engine_command(settings, Path(settings.base_model), "127.0.0.1", int(url.rpartition(":")[2])),
            *("--dtype", dtype, *arguments),
        ],
        environment=engine_environment(settings, "", _QUIET_THREADS | os.environ),
        address=url,
        log=logs / f"{settings.engine}-{dtype}{number}.log",
        check=lambda: why_not_ready(f"{url}/health"),
        has_family=settings.engine == "vllm",
    )


def _dead(parts: Sequence[Part]) -> Part | None:
    """One that has ended, or does so in a moment: a process that is killed first closes its connections."""
    deadline = time.monotonic() + _DYING_SECONDS
    while True:
        for part in parts:
            if not part.is_running:
                return part
        if time.monotonic() > deadline:
            return None
        time.sleep(_LOOK_SECONDS)


def _wait_until_ready(part: Part) -> None:
    while why := part.why_not_ready():
        if not part.is_running:
            raise ConfigurationError(_how_it_ended(part))
        if time.monotonic() - part.started_at > _START_SECONDS:
            raise ConfigurationError(
                f"The {part.name} engine is not ready after {_START_SECONDS:.0f} s ({why}). Its last words:\n"
                f"{part.last_words()}"
            )
        time.sleep(_LOOK_SECONDS)


def _how_it_ended(part: Part) -> str:
    return f"The {part.name} engine {part.how_it_ended()}. Its last words:\n{part.last_words()}"
