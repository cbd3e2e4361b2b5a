"""The engine as the writer that `worker/pairs` asks for."""

import asyncio
import json
import zlib
from collections.abc import Sequence
from typing import Any, Self

from app.engine.engines import Engines
from worker.pairs.writer import Completion, Sampling

EMBEDDED = "ingrain"
"""Owner of the models that the embedded engine lists."""
MOST_AT_ONCE = 64
"""Requests under way at once; the engine batches them and queues what does not fit."""


class EngineWriter:
    """Generates with the base model that an engine serves.

    The embedded engine is given a seed with every request, so that the same job writes the same pairs. vLLM is not:
    seeds of single requests take its sampling off the fast path.
    """

    def __init__(self, engines: Engines, model: str, seed: int | None) -> None:
        self._engines = engines
        self._model = model
        self._seed = seed
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    @classmethod
    async def for_job(cls, engines: Engines, model: str, seed: int) -> Self:
        """A writer that is seeded where the engine takes that lightly."""
        embedded = any(served.get("owned_by") == EMBEDDED for served in await engines.models())
        return cls(engines, model, seed if embedded else None)

    async def complete(self, prompt: str, sampling: Sampling) -> list[Completion]:
        """Go on from a plain prompt."""
        async with self._room:
            answer = await self._engines.complete({**self._payload(sampling, prompt), "prompt": prompt})
        return [Completion(choice["text"], choice["finish_reason"]) for choice in answer["choices"]]

    async def chat(self, messages: Sequence[dict[str, str]], sampling: Sampling) -> list[Completion]:
        """Answer a chat."""
        async with self._room:
            payload = self._payload(sampling, json.dumps(list(messages)))
            answer = await self._engines.chat({**payload, "messages": list(messages)})
        return [Completion(choice["message"]["content"] or "", choice["finish_reason"]) for choice in answer["choices"]]

    def _payload(self, sampling: Sampling, prompt: str) -> dict[str, Any]:
        seeded = self._seed is not None and sampling.temperature > 0
        return {
            "model": self._model,
            "n": sampling.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            **({"stop": list(sampling.stop)} if sampling.stop else {}),
            **({"seed": zlib.crc32(f"{self._seed} {prompt}".encode())} if seeded else {}),
        }
