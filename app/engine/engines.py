"""Every replica of the engine as one: where a request goes, and what becomes of it when a replica fails.

A request with a key (an adapter's id, or a passage's) goes to the replica that weighs most for the key, by rendezvous
hashing (Thaler and Ravishankar, 1998): each adapter has its home, and when a replica comes or goes only its own move.
A home that is saturated sends on to the next. Generation changes nothing in an engine, so what a replica did not
answer is asked of another one, until the first word of the answer is out.
"""

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from app.engine.client import EngineClient, Payload
from app.engine.replica import Replica
from app.engine.slots import AdapterFiles, Slots
from app.errors import EngineAsleep, EngineBusy, EngineUnavailable
from app.settings import Settings

Result = TypeVar("Result")

_UNREADABLE: Final = 404  # it cannot read an adapter, and never will
_INTERNAL_ERROR: Final = 500
_LOOK_SECONDS: Final = 0.25


class Engines:
    """The replicas behind one front. Use it as a context manager, or call `close`.

    Every call raises errors of `app.errors`: `BadEngineRequest`, `UnknownModel`, `EngineBusy` (every replica's queue is
    full), `EngineUnavailable` (none answers, after `patience`) and, of those, `EngineAsleep` (at once).

    Args:
        urls: base URLs of the replicas, without /v1.
        api_key: the bearer key that they ask for; None: none.
        slots: adapters that each holds at once.
        patience: seconds to wait for a replica that answers, and for an adapter's turn in a slot.
        busy_patience: seconds to wait for room in a full queue.
        concurrency: requests under way at a replica before the next one helps out.
        may_sleep: whether to look, before a chat goes to a replica, if it sleeps: vLLM would keep it until it wakes.
    """

    def __init__(
        self,
        urls: Sequence[str],
        api_key: str | None = None,
        *,
        slots: int = 16,
        patience: float = 60.0,
        busy_patience: float = 60.0,
        concurrency: int = 64,
        may_sleep: bool = False,
    ) -> None:
        clients = [EngineClient(url, api_key) for url in urls]
        self.replicas = [Replica(client, Slots(client, slots, patience), may_sleep=may_sleep) for client in clients]
        self._patience = patience
        self._busy_patience = busy_patience
        self._concurrency = concurrency

    @classmethod
    def of(cls, settings: Settings, *, busy_patience: float | None = None) -> Self:
        """The engine that the settings name."""
        key = settings.engine_api_key
        patience = settings.engine_patience_seconds
        return cls(
            settings.engine_urls,
            key.get_secret_value() if key else None,
            slots=settings.max_loras,
            patience=patience,
            busy_patience=patience if busy_patience is None else busy_patience,
            concurrency=settings.engine_concurrency,
            may_sleep=settings.vllm_sleep,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        for replica in self.replicas:
            await replica.slots.close()
            await replica.client.close()

    async def chat(
        self, payload: Payload, adapter: AdapterFiles | None = None, *, key: str | None = None
    ) -> dict[str, Any]:
        """A whole chat completion by an adapter, or by the model that the payload names.

        Args:
            key: what requests that should meet at one replica have in common, where there is no adapter.
        """
        return await self._ask(adapter.id if adapter else key, lambda replica: replica.chat(payload, adapter))

    async def complete(self, payload: Payload, *, key: str | None = None) -> dict[str, Any]:
        """A whole plain completion by the model that the payload names."""
        return await self._ask(key, lambda replica: replica.complete(payload))

    async def stream_chat(self, payload: Payload, adapter: AdapterFiles | None = None) -> AsyncGenerator[bytes]:
        """As `chat`, as the engine's server-sent events, as they come. Closing the iterator frees the engine.

        Raises:
            EngineUnavailable: also when the replica broke off in the middle.
        """

        async def begin(replica: Replica) -> tuple[bytes, AsyncGenerator[bytes]]:
            pieces = replica.stream_chat(payload, adapter)
            try:
                return await anext(pieces), pieces
            except StopAsyncIteration:
                raise EngineUnavailable(
                    f"The engine at {replica.client.url} ended its answer before it began. Try again."
                ) from None

        first, rest = await self._ask(adapter.id if adapter else None, begin)
        async with contextlib.aclosing(rest):
            yield first
            async for piece in rest:
                yield piece

    async def tokenize(self, payload: Payload) -> dict[str, Any]:
        """Token ids of `messages` or `prompt` for the base model: `{"count", "max_model_len", "tokens"}`."""
        return await self._ask(None, lambda replica: replica.client.tokenize(payload))

    async def models(self) -> list[dict[str, Any]]:
        """What one of the replicas serves now: the base model, then its adapters."""
        return await self._ask(None, lambda replica: replica.client.models())

    async def health(self) -> None:
        """Return when a replica is healthy.

        Raises:
            EngineUnavailable: none is.
        """
        results = await asyncio.gather(*(one.client.health() for one in self.replicas), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if len(failures) == len(self.replicas):
            raise failures[0]

    async def unload(self, adapter_id: str) -> None:
        """Take an adapter out of every replica, for one that was deleted.

        Raises:
            EngineUnavailable: a replica does not answer; the others were asked.
        """
        unloads = (replica.slots.unload(adapter_id) for replica in self.replicas)
        for result in await asyncio.gather(*unloads, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result

    async def on(self, replica: Replica, attempt: Callable[[Replica], Awaitable[Result]]) -> Result:
        """What `attempt` gives on this replica and no other, with the same patience."""
        others = [other for other in self.replicas if other is not replica]
        return await self._ask(None, attempt, without=others)

    async def _ask(
        self, key: str | None, attempt: Callable[[Replica], Awaitable[Result]], *, without: Collection[Replica] = ()
    ) -> Result:
        """The result of `attempt` on the first replica that gives one."""
        failing_since: float | None = None
        broken: list[Replica] = [*without]
        met_errors: list[Replica] = []
        failure: EngineBusy | EngineUnavailable | None = None
        while True:
            replica = self._choose(key, broken)
            if replica is not None:
                try:
                    result = await attempt(replica)
                except EngineAsleep:
                    raise
                except EngineUnavailable as error:
                    failure = error
                    status = error.extra.get("engine_status")
                    if status == _UNREADABLE or (status == _INTERNAL_ERROR and replica in met_errors):
                        broken.append(replica)
                        if len(broken) == len(self.replicas):
                            raise
                    else:
                        replica.failed()
                    if status == _INTERNAL_ERROR:  # a defect would come again, but a server that dies says this as well
                        met_errors.append(replica)
                except EngineBusy as error:
                    failure = error
                    replica.rests_until = time.monotonic() + float(error.headers.get("Retry-After", 1))
                else:
                    replica.answered()
                    return result
            if failing_since is None:
                failing_since = time.monotonic()
            if self._choose(key, broken) is None:
                patience = self._busy_patience if isinstance(failure, EngineBusy) else self._patience
                if failure is not None and time.monotonic() - failing_since >= patience:
                    raise failure
                await asyncio.sleep(self._seconds_to_rest(broken))

    def _choose(self, key: str | None, without: Collection[Replica]) -> Replica | None:
        """Where a request goes now; None: nowhere, for now."""
        now = time.monotonic()
        up = [replica for replica in self.replicas if replica not in without and replica.rests_until <= now]
        if not up:
            return None
        if key is not None:
            up.sort(key=lambda replica: _weight(key, replica.client.url), reverse=True)
            for replica in up:
                if replica.running < self._concurrency:
                    return replica
        return min(up, key=lambda replica: replica.running)

    def _seconds_to_rest(self, without: Collection[Replica]) -> float:
        soonest = min(replica.rests_until for replica in self.replicas if replica not in without)
        return min(_LOOK_SECONDS, max(0.01, soonest - time.monotonic()))


def _weight(key: str, url: str) -> bytes:
    return hashlib.sha256(f"{key} {url}".encode()).digest()
