"""One server of the engine: its client, its adapter slots, and how it has fared lately."""

import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Any, Final

from app.engine.client import EngineClient, Payload
from app.engine.sleep import SleepWatch
from app.engine.slots import AdapterFiles, Slots
from app.errors import EngineBusy, UnknownModel

_FIRST_PAUSE_SECONDS: Final = 0.25
_LONGEST_PAUSE_SECONDS: Final = 2.0


class Replica:
    """A server that is asked for one thing after the other, and left alone for a moment when it failed.

    Attributes:
        running: requests of this process that are under way there.
        rests_until: when it may be asked again (`time.monotonic`).
    """

    def __init__(self, client: EngineClient, slots: Slots, *, may_sleep: bool = False) -> None:
        self.client = client
        self.slots = slots
        self._sleep_watch = SleepWatch(client) if may_sleep else None
        self.running = 0
        self.rests_until = 0.0
        self._failures = 0

    def failed(self) -> None:
        """It did not answer; leave it alone, longer each time."""
        if self.rests_until > time.monotonic():  # others that were under way there told so already
            return
        pause = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**self._failures)
        self._failures += 1
        self.rests_until = time.monotonic() + pause

    def answered(self) -> None:
        """It answers."""
        self._failures = 0

    async def chat(self, payload: Payload, adapter: AdapterFiles | None) -> dict[str, Any]:
        """A chat with an adapter, which is loaded if need be, or with the model that the payload names."""
        with self._counted():
            await self._check_awake()
            if adapter is None:
                return await self.client.chat(payload)
            named = {**payload, "model": adapter.id}
            until = time.monotonic() + self.slots.patience
            while True:
                try:
                    async with self.slots.hold(adapter):
                        return await self.client.chat(named)
                except UnknownModel:
                    self._check_patience(adapter, until)

    async def complete(self, payload: Payload) -> dict[str, Any]:
        """A plain completion by the model that the payload names."""
        with self._counted():
            return await self.client.complete(payload)

    async def stream_chat(self, payload: Payload, adapter: AdapterFiles | None) -> AsyncGenerator[bytes]:
        """As `chat`, as the engine's server-sent events; closing the iterator frees the engine."""
        with self._counted():
            await self._check_awake()
            if adapter is None:
                async with contextlib.aclosing(self.client.stream_chat(payload)) as events:
                    async for piece in events:
                        yield piece
                return
            named = {**payload, "model": adapter.id}
            until = time.monotonic() + self.slots.patience
            while True:
                try:
                    async with (
                        self.slots.hold(adapter),
                        contextlib.aclosing(self.client.stream_chat(named)) as events,
                    ):
                        async for piece in events:
                            yield piece
                    return
                except UnknownModel:  # before the answer has begun; nothing was passed on
                    self._check_patience(adapter, until)

    def _check_patience(self, adapter: AdapterFiles, until: float) -> None:
        """The engine forgot an adapter between its loading and its request: it is loaded again, but not for ever."""
        if time.monotonic() > until:
            raise EngineBusy(
                f"The engine at {self.client.url} loses the adapter {adapter.id} as often as it is loaded: other "
                "processes need its slots. Try again, or raise INGRAIN_MAX_LORAS.",
                headers={"Retry-After": "5"},
            )

    async def _check_awake(self) -> None:
        if self._sleep_watch:
            await self._sleep_watch.check()

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
