"""The engine as the writer that `worker/pairs` asks for."""

import asyncio
from collections.abc import Sequence
from typing import Any

from app.engine.client import EngineClient
from worker.pairs.writer import Completion, Sampling

MOST_AT_ONCE = 64
"""Requests under way at once; the engine batches them and queues what does not fit."""


class EngineWriter:
    """Generates with the base model that an engine serves."""

    def __init__(self, client: EngineClient, model: str) -> None:
        self._client = client
        self._model = model
        self._room = asyncio.Semaphore(MOST_AT_ONCE)

    async def complete(self, prompt: str, sampling: Sampling) -> list[Completion]:
        """Go on from a plain prompt."""
        async with self._room:
            answer = await self._client.complete({**self._payload(sampling), "prompt": prompt})
        return [Completion(choice["text"], choice["finish_reason"]) for choice in answer["choices"]]

    async def chat(self, messages: Sequence[dict[str, str]], sampling: Sampling) -> list[Completion]:
        """Answer a chat."""
        async with self._room:
            answer = await self._client.chat({**self._payload(sampling), "messages": list(messages)})
        return [Completion(choice["message"]["content"] or "", choice["finish_reason"]) for choice in answer["choices"]]

    def _payload(self, sampling: Sampling) -> dict[str, Any]:
        return {
            "model": self._model,
            "n": sampling.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            **({"stop": list(sampling.stop)} if sampling.stop else {}),
        }
