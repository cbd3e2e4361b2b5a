"""Publish: nothing is called ready that was not tried.

The trained adapter is loaded into the engine under its id, warmed, and asked for the canary: an answer whose
log-probabilities training wrote down. An engine that serves other weights, another base model or another template
gives other figures, and then the publish fails with both. What passes is written out with its SHA-256.
"""

import asyncio
import hashlib
import json
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.engine.client import EngineClient
from app.engine.placement import Placement
from app.errors import IngrainError, StageError
from app.settings import get_settings
from worker.stages import Progress, StageInputs

CANARY_TOLERANCE: Final = 0.15
_FILES: Final = ("adapter_config.json", "adapter_model.safetensors")
_STEPS: Final = 4


@dataclass(frozen=True, slots=True)
class Canary:
    """An answer and what the trained student thought of each of its tokens, in nats."""

    messages: list[dict[str, str]]
    answer_token_ids: list[int]
    logprobs: list[float]


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    """Try the adapter in the engine and write its files and their manifest into `out`."""
    started = time.monotonic()
    source = inputs.artefacts / "distil" / "adapter"
    missing = [name for name in _FILES if not (source / name).is_file()]
    if missing:
        raise StageError(f"The adapter is not whole: {', '.join(missing)} is missing. Retry the job.")
    canary = _read_canary(inputs.artefacts / "distil" / "training.json")
    difference = asyncio.run(_try(inputs, source.resolve(), canary, progress))
    manifest = _write(inputs, source, out)
    progress(_STEPS, _STEPS)
    return {
        "sha256": manifest["files"][_FILES[1]]["sha256"],
        "bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
        "rank": manifest["rank"],
        "canary_tokens": len(canary.logprobs),
        "canary_difference": round(difference, 5),
        "seconds": round(time.monotonic() - started, 2),
    }


def mean_difference(expected: list[float], served: list[float]) -> float:
    """Mean absolute difference of two answers' log-probabilities, in nats a token."""
    return sum(abs(a - b) for a, b in zip(expected, served, strict=True)) / len(expected)


def check_canary(expected: list[float], served: list[float], tolerance: float) -> float:
    """Whether the engine serves what was trained; returns the mean difference.

    Raises:
        StageError: it does not; the error names both figures.
    """
    if len(expected) != len(served):
        raise StageError(f"The canary has {len(expected)} tokens, and the engine scored {len(served)}.")
    difference = mean_difference(expected, served)
    if not difference <= tolerance:
        trained, found = sum(expected) / len(expected), sum(served) / len(served)
        raise StageError(
            f"The engine does not serve the adapter that was trained: the canary's mean log-probability was"
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


async def _try(inputs: StageInputs, source: Path, canary: Canary, progress: Progress) -> float:
    """Load, warm, score and compare; an adapter that fails leaves the engine. Returns the mean difference."""
    name = inputs.adapter_id
    async with EngineClient(inputs.engine.url, inputs.engine.api_key) as engine:
        try:
            await Placement(engine, get_settings().max_loras).ensure_loaded(name, source)
            progress(1, _STEPS)
            await engine.chat({"model": name, "messages": canary.messages, "max_tokens": 4, "temperature": 0})
            progress(2, _STEPS)
            served = await score(engine, name, canary.messages, canary.answer_token_ids)
            progress(3, _STEPS)
        except IngrainError as error:
            raise StageError(f"The engine could not serve the adapter: {error.detail}") from error
        try:
            return check_canary(canary.logprobs, served, CANARY_TOLERANCE)
        except StageError:
            await engine.unload_adapter(name)
            raise


async def score(engine: EngineClient, model: str, messages: list[dict[str, str]], answer: list[int]) -> list[float]:
    """Log-probabilities that `model` gives to the tokens of an answer, asked as a client asks, in nats.

    They come as the prompt's log-probabilities of the rendered chat with the answer behind it, which vLLM and the
    embedded engine both tell for at least one generated token.
    """
    rendered = await engine.tokenize({"model": model, "messages": messages, "add_generation_prompt": True})
    prompt = [*rendered["tokens"], *answer]
    asked = {"model": model, "prompt": prompt, "max_tokens": 1, "temperature": 0, "prompt_logprobs": 0}
    body = await engine.complete(asked)
    rows = body["choices"][0]["prompt_logprobs"][-len(answer) :]
    return [float(row[str(token)]["logprob"]) for row, token in zip(rows, answer, strict=True)]


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
