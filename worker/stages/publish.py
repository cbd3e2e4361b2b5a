"""Publish: nothing is called ready that was not tried.

The trained adapter is loaded into each replica of the engine under its id, warmed, and asked for the canary: an
answer whose log-probabilities training wrote down. An engine that serves other weights, another base model or another
template gives other figures, and then the publish fails with both. What passes is written out with its SHA-256.
"""

import asyncio
import hashlib
import json
import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.engine.client import EngineClient
from app.engine.engines import Engines
from app.engine.replica import Replica
from app.engine.slots import AdapterFiles
from app.errors import EngineBusy, EngineUnavailable, IngrainError, StageError
from app.settings import get_settings
from worker.stages import Progress, StageInputs
from worker.stages.generation import EMBEDDED

CANARY_TOLERANCE: Final = 0.15
_LIKELIEST: Final = 20  # vLLM tells no more unless it is started to
_FILES: Final = ("adapter_config.json", "adapter_model.safetensors")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Canary:
    """An answer and what the trained student thought of each of its tokens, in nats."""

    messages: list[dict[str, str]]
    answer_token_ids: list[int]
    logprobs: list[float]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of trying a replica: the canary's mean difference in nats a token, or why it could not be asked.

    `engine` is its kind and version, for example "vllm 0.32.0", where it tells them.
    """

    url: str
    difference: float | None
    error: EngineBusy | EngineUnavailable | None = None
    engine: str | None = None


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Try the adapter in the engine and write its files and their manifest into `out`."""
    started = time.monotonic()
    source = inputs.artefacts / "distil" / "adapter"
    missing = [name for name in _FILES if not (source / name).is_file()]
    if missing:
        raise StageError(f"The adapter is not whole: {', '.join(missing)} is missing. Retry the job.")
    canary = _read_canary(inputs.artefacts / "distil" / "training.json")
    trials = asyncio.run(_try(inputs, source.resolve(), canary, progress))
    manifest = _write(inputs, source, out)
    progress(len(trials) + 1, len(trials) + 1)
    return {
        "sha256": manifest["files"][_FILES[1]]["sha256"],
        "bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
        "rank": manifest["rank"],
        "canary_tokens": len(canary.logprobs),
        "canary_difference": round(max(trial.difference for trial in trials if trial.difference is not None), 5),
        "replicas": sum(trial.error is None for trial in trials),
        "replicas_untried": [trial.url for trial in trials if trial.error],
        "engine_version": ", ".join(sorted({trial.engine for trial in trials if trial.engine})) or None,
        "seconds": round(time.monotonic() - started, 2),
    }


def mean_difference(expected: list[float], served: list[float]) -> float:
    """Mean absolute difference of two answers' log-probabilities, in nats a token."""
    return sum(abs(a - b) for a, b in zip(expected, served, strict=True)) / len(expected)


def check_canary(expected: list[float], served: list[float], tolerance: float, url: str) -> float:
    """Whether the engine serves what was trained; returns the mean difference.

    Raises:
        StageError: it does not; the error names both figures.
    """
    if len(expected) != len(served):
        raise StageError(f"The canary has {len(expected)} tokens, and the engine at {url} scored {len(served)}.")
    difference = mean_difference(expected, served)
    if not difference <= tolerance:
        trained, found = sum(expected) / len(expected), sum(served) / len(served)
        raise StageError(
            f"The engine at {url} does not serve the adapter that was trained: the canary's mean log-probability was"
            f" {trained:.4f} in training and is {found:.4f} in the engine; the mean difference of {difference:.4f} nats"
            f" a token exceeds {tolerance:.2f}. Is the engine's base model the one that the job was trained on?"
        )
    return difference


def _read_canary(path: Path) -> Canary:
    try:
        written = json.loads(path.read_text())["canary"]
        canary = Canary(written["messages"], written["answer_token_ids"], written["logprobs"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StageError(f"Training left no canary to try the adapter with ({path.name}: {error}).") from error
    if not canary.answer_token_ids or len(canary.answer_token_ids) != len(canary.logprobs):
        raise StageError("Training's canary is empty, or has not one log-probability for each token.")
    return canary


async def _try(inputs: StageInputs, source: Path, canary: Canary, progress: Progress) -> list[Trial]:
    """Try the adapter on every replica at once; one that fails leaves all of them.

    A replica that does not answer is left out as long as another one does: it loads the adapter when it is back.

    Raises:
        StageError: a replica refuses the adapter, or serves something else.
        EngineBusy, EngineUnavailable: no replica could be asked.
    """
    files = AdapterFiles(inputs.adapter_id, source)
    done = 0

    async def on_one(engines: Engines, replica: Replica) -> Trial:
        nonlocal done
        try:
            trial = await engines.on(replica, lambda one: _try_on(one, files, canary))
        except (EngineBusy, EngineUnavailable) as error:
            _LOG.warning("%s was not tried on the engine at %s: %s", files.id, replica.client.url, error.detail)
            return Trial(replica.client.url, None, error)
        done += 1
        progress(done, len(engines.replicas) + 1)
        return trial

    async with inputs.engine.open() as engines:
        tried = (on_one(engines, replica) for replica in engines.replicas)
        results = await asyncio.gather(*tried, return_exceptions=True)  # all: a late load would undo the unloading
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            await _unload(engines, files.id)
            failures.sort(key=lambda failure: isinstance(failure, StageError), reverse=True)
            if isinstance(failures[0], IngrainError) and not isinstance(failures[0], StageError):
                raise StageError(f"The engine could not serve the adapter: {failures[0].detail}") from failures[0]
            raise failures[0]
        trials = [result for result in results if not isinstance(result, BaseException)]
        if all(trial.error for trial in trials) and trials[0].error:
            raise trials[0].error
        if source.is_relative_to(get_settings().work_folder.resolve()):  # it goes with the job, and must be loaded anew
            await _unload(engines, files.id)
    return trials


async def _try_on(replica: Replica, files: AdapterFiles, canary: Canary) -> Trial:
    """Load, warm, score and compare."""
    async with replica.slots.hold(files):
        warm = {"model": files.id, "messages": canary.messages, "max_tokens": 4, "temperature": 0}
        await replica.client.chat(warm)
        served = await score(replica.client, files.id, canary.messages, canary.answer_token_ids)
    difference = check_canary(canary.logprobs, served, CANARY_TOLERANCE, replica.client.url)
    return Trial(replica.client.url, difference, engine=await _name(replica.client))


async def _name(engine: EngineClient) -> str | None:
    try:
        owner, version = (await engine.models())[0]["owned_by"], await engine.version()
    except (IngrainError, LookupError, ValueError):  # it is no part of what an engine must have
        return None
    return f"{'embedded' if owner == EMBEDDED else owner} {version}"


async def _unload(engines: Engines, adapter_id: str) -> None:
    try:
        await engines.unload(adapter_id)
    except IngrainError as error:
        _LOG.warning("The engine did not unload %s: %s", adapter_id, error.detail)


async def score(engine: EngineClient, model: str, messages: list[dict[str, str]], answer: list[int]) -> list[float]:
    """Log-probabilities that `model` gives to the tokens of an answer, asked as a client asks, in nats.

    Each token is asked for by itself, as the next one after the rendered chat and the answer before it. One that is not
    among the likeliest gets the figure of the least likely of those, so it is unlikelier still. (The log-probabilities
    of a prompt would tell all at once, but vLLM 0.32's build for CPUs dies of them while others generate.)
    """
    rendered = await engine.tokenize({"model": model, "messages": messages, "add_generation_prompt": True})

    async def at(place: int) -> float:
        body = await engine.complete(
            {
                "model": model,
                "prompt": [*rendered["tokens"], *answer[:place]],
                "max_tokens": 1,
                "temperature": 0,
                "logprobs": _LIKELIEST,
                "return_tokens_as_token_ids": True,
            }
        )
        likeliest: dict[str, float] = body["choices"][0]["logprobs"]["top_logprobs"][0]
        return likeliest.get(f"token_id:{answer[place]}", min(likeliest.values()))

    last = await at(len(answer) - 1)  # alone: the others find its prompt in the prefix cache
    return [*await asyncio.gather(*(at(place) for place in range(len(answer) - 1))), last]


def _write(inputs: StageInputs, source: Path, out: Path) -> dict[str, Any]:
    """Copy the adapter's files, and say what they are."""
    files = {}
    for name in _FILES:
        shutil.copyfile(source / name, out / name)
        data = (out / name).read_bytes()
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    rank = json.loads((source / _FILES[0]).read_text())["r"]
    manifest = {
        "adapter": inputs.adapter_id,
        "base_model": inputs.base_model_name,
        "base_revision": inputs.base_revision,
        "rank": rank,
        "files": files,
    }
    (out / "adapter.json").write_text(json.dumps(manifest, indent=1))
    return manifest
