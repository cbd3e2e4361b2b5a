"""Which adapters the engine holds, and making room for those that are asked for.

An engine forgets: it restarts, or another process unloads. So what is known here is only a hint that saves a question
on the usual path; the engine's own "unknown model" is the truth, and then the adapter is loaded again.
"""

import asyncio
import contextlib
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, Final

from app.engine.client import EngineClient, Payload
from app.errors import BadEngineRequest, EngineBusy, UnknownModel

_ROOM_ATTEMPTS: Final = 20
_ROOM_PAUSE_SECONDS: Final = 0.25


class Placement:
    """Adapters on one engine that holds at most `slots` of them. Safe for concurrent tasks of one event loop.

    Adapters' ids never change what they mean, so an id that the engine knows is never loaded again.
    """

    def __init__(self, client: EngineClient, slots: int) -> None:
        self._client = client
        self._slots = slots
        self._clock = itertools.count(1)
        self._known: set[str] = set()
        self._last_use: dict[str, int] = {}
        self._in_use: Counter[str] = Counter()
        self._loading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._room = asyncio.Lock()

    async def ensure_loaded(self, adapter_id: str, path: Path) -> None:
        """Return when the engine serves the adapter; it is loaded from the folder `path` if need be.

        Where all slots are taken, the adapter that was not used for longest leaves.

        Raises:
            BadEngineRequest: the engine refuses the adapter.
            EngineBusy: every slot's adapter is answering just now.
            EngineUnavailable: the engine does not answer.
        """
        self._last_use[adapter_id] = next(self._clock)
        if adapter_id in self._known:
            return
        async with self._loading[adapter_id]:
            if adapter_id not in self._known:
                await self._load(adapter_id, path)
                self._known.add(adapter_id)
        self._loading.pop(adapter_id, None)

    def forget(self, adapter_id: str) -> None:
        """The engine turned out not to know the adapter; the next `ensure_loaded` loads it."""
        self._known.discard(adapter_id)

    async def unload(self, adapter_id: str) -> None:
        """Take an adapter out of the engine, for one that was deleted."""
        self.forget(adapter_id)
        await self._client.unload_adapter(adapter_id)

    async def chat(self, payload: Payload, adapter_id: str | None, path: Path | None) -> dict[str, Any]:
        """A chat with an adapter, or with the base model where `adapter_id` is None; loads what must be loaded."""
        if adapter_id is None or path is None:
            return await self._client.chat(payload)
        with self._using(adapter_id):
            for last in (False, True):
                await self.ensure_loaded(adapter_id, path)
                try:
                    return await self._client.chat({**payload, "model": adapter_id})
                except UnknownModel:
                    self.forget(adapter_id)
                    if last:
                        raise
        raise AssertionError("unreachable")

    async def stream_chat(self, payload: Payload, adapter_id: str | None, path: Path | None) -> AsyncGenerator[bytes]:
        """As `chat`, as the engine's server-sent events; closing the iterator frees the engine."""
        if adapter_id is None or path is None:
            async with contextlib.aclosing(self._client.stream_chat(payload)) as events:
                async for piece in events:
                    yield piece
            return
        with self._using(adapter_id):
            for last in (False, True):
                await self.ensure_loaded(adapter_id, path)
                try:
                    stream = self._client.stream_chat({**payload, "model": adapter_id})
                    async with contextlib.aclosing(stream) as events:
                        async for piece in events:
                            yield piece
                    return
                except UnknownModel:
                    self.forget(adapter_id)
                    if last:
                        raise

    @contextlib.contextmanager
    def _using(self, adapter_id: str) -> Iterator[None]:
        self._in_use[adapter_id] += 1
        try:
            yield
        finally:
            self._in_use[adapter_id] -= 1

    async def _load(self, adapter_id: str, path: Path) -> None:
        """Load, one adapter at a time, after making room; other processes may take the room, so try again then."""
        async with self._room:
            for _ in range(_ROOM_ATTEMPTS):
                loaded = [model["id"] for model in await self._client.models() if model.get("parent")]
                self._known.intersection_update(loaded)
                if adapter_id in loaded:
                    return
                if len(loaded) >= self._slots and not await self._make_room(loaded):
                    await asyncio.sleep(_ROOM_PAUSE_SECONDS)
                    continue
                try:
                    await self._client.load_adapter(adapter_id, path)
                    return
                except BadEngineRequest as error:
                    if error.extra.get("engine_error", {}).get("type") != "TooManyAdapters":
                        raise
                if not await self._make_room(loaded):
                    await asyncio.sleep(_ROOM_PAUSE_SECONDS)
        raise EngineBusy(
            f"All {self._slots} adapter slots of the engine are answering; try again, or raise INGRAIN_MAX_LORAS.",
            headers={"Retry-After": "2"},
        )

    async def _make_room(self, loaded: list[str]) -> bool:
        """Unload the adapter that was not used for longest; False where all are answering."""
        idle = [name for name in loaded if not self._in_use[name]]
        if not idle:
            return False
        oldest = min(idle, key=lambda name: self._last_use.get(name, 0))
        await self.unload(oldest)
        return True
