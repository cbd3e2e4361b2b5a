"""Which adapters a replica of the engine holds, and whose turn it is when more are asked for than it has slots.

An engine forgets: it restarts, or another process unloads. So what is known here is only a hint that saves a question
on the usual path; the engine's own "unknown model" is the truth, and then the adapter is loaded again.

Adapters that wait for a slot get one in the order in which they came. One that holds a slot keeps it for a while, even
through short pauses, so that swapping costs a small part of the time; after that it takes no new requests while others
wait, and leaves when its answers have ended.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.engine.client import EngineClient
from app.errors import BadEngineRequest, EngineBusy, IngrainError, NotFound, UnknownModel

logger = logging.getLogger(__name__)

_TURN_LOADS: Final = 10.0  # an adapter's turn is as many times as long as its loading took: swapping costs a tenth
_SHORTEST_TURN_SECONDS: Final = 0.5
_LONGEST_TURN_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 0.1  # a client that asks again and again pauses less than this
_TOO_MANY: Final = "TooManyAdapters"


@dataclass(frozen=True, slots=True)
class AdapterFiles:
    """An adapter as an engine loads it: its id, and the folder, which the engine can read, with its PEFT files."""

    id: str
    folder: Path


@dataclass(slots=True, eq=False)
class _Holder:
    """An adapter that holds a slot: being loaded (`since` is None), ready, or being unloaded (`leaving`).

    Attributes:
        users: answers under way.
        since: when it was ready. closing: its turn is over.
    """

    users: int = 0
    since: float | None = None
    turn: float = _SHORTEST_TURN_SECONDS
    used_at: float = field(default_factory=time.monotonic)
    closing: bool = False
    leaving: bool = False

    @property
    def takes_requests(self) -> bool:
        return self.since is not None and not self.closing and not self.leaving

    def may_go_at(self) -> float:
        """When its turn is over; an idle one may go earlier."""
        over = (self.since or 0.0) + self.turn
        return over if self.users else min(over, self.used_at + _LINGER_SECONDS)


@dataclass(slots=True, eq=False)
class _Waiter:
    """Requests that wait for one adapter."""

    files: AdapterFiles
    futures: set["asyncio.Future[_Holder]"] = field(default_factory=set)


class Slots:
    """The adapter slots of one replica. Safe for concurrent tasks of one event loop.

    Args:
        client: the replica.
        count: how many adapters it is to hold; an engine that takes fewer is believed.
        patience: seconds that a request waits for its adapter's turn.

    Attributes:
        patience: as given.
    """

    def __init__(self, client: EngineClient, count: int, patience: float) -> None:
        self._client = client
        self._count = count
        self.patience = patience
        self._holders: dict[str, _Holder] = {}
        self._waiters: dict[str, _Waiter] = {}
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turns: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def hold(self, files: AdapterFiles) -> AsyncGenerator[None]:
        """Within it the engine serves the adapter; it is loaded first if need be.

        Raises:
            BadEngineRequest: the engine refuses the adapter.
            EngineBusy: its turn did not come in time.
            EngineUnavailable: the engine does not answer.
            NotFound: the adapter was deleted meanwhile.
        """
        holder = self._holders.get(files.id)
        if holder is None or not holder.takes_requests:
            holder = await self._wait(files)
        else:
            holder.users += 1
        try:
            yield
        except UnknownModel:  # it restarted, or another process unloaded: the next `hold` loads the adapter again
            if self._holders.get(files.id) is holder:
                del self._holders[files.id]
            raise
        finally:
            holder.users -= 1
            holder.used_at = time.monotonic()
            self._changed.set()

    async def unload(self, adapter_id: str) -> None:
        """Take an adapter out of the engine, for one that was deleted; those that wait for it are told."""
        self._holders.pop(adapter_id, None)
        self._refuse(adapter_id, NotFound(f"The adapter {adapter_id} was deleted.", field="model"))
        self._changed.set()
        await self._client.unload_adapter(adapter_id)

    async def close(self) -> None:
        """Stop handing out slots."""
        tasks = [*self._tasks, *([self._turns] if self._turns else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, files: AdapterFiles) -> _Holder:
        waiter = self._waiters.setdefault(files.id, _Waiter(files))
        future: asyncio.Future[_Holder] = asyncio.get_running_loop().create_future()
        waiter.futures.add(future)
        self._changed.set()
        if self._turns is None or self._turns.done():
            self._turns = asyncio.create_task(self._give_turns())
        try:
            async with asyncio.timeout(self.patience):
                return await future
        except BaseException as error:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().users -= 1  # it got its slot in the very moment in which it gave up
            if isinstance(error, TimeoutError):
                raise EngineBusy(
                    f"All {self._count} adapter slots of the engine were answering for {self.patience:g} s; try again,"
                    " or raise INGRAIN_MAX_LORAS.",
                    headers={"Retry-After": "5"},
                ) from None
            raise
        finally:
            waiter.futures.discard(future)
            if not waiter.futures and self._waiters.get(files.id) is waiter:
                del self._waiters[files.id]

    async def _give_turns(self) -> None:
        """Give slots to those who wait, until nobody does."""
        while self._waiters:
            self._changed.clear()
            self._start_turns()
            pause = self._end_turns()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()
        for holder in self._holders.values():
            holder.closing = False

    def _start_turns(self) -> None:
        """Whoever waits longest first: its adapter is there after all, or is loaded into a free slot."""
        for adapter_id in [*self._waiters]:
            holder = self._holders.get(adapter_id)
            if holder is None:
                if len(self._holders) >= self._count:
                    return
                self._holders[adapter_id] = _Holder()
                self._start(self._load(self._waiters[adapter_id].files))
            elif holder.since is not None and not holder.leaving:
                holder.closing = False
                holder.since = time.monotonic()
                self._admit(adapter_id, holder)

    def _end_turns(self) -> float | None:
        """Let as many go as there are adapters without a slot.

        Returns the seconds until the next may go; None where something else has to change first.
        """
        now = time.monotonic()
        homeless = sum(adapter_id not in self._holders for adapter_id in self._waiters)
        wanted = homeless - sum(holder.leaving for holder in self._holders.values())
        settled = {
            name: holder for name, holder in self._holders.items() if holder.since is not None and not holder.leaving
        }
        over = [(name, holder) for name, holder in settled.items() if holder.may_go_at() <= now]
        for name, holder in sorted(over, key=lambda entry: entry[1].used_at):
            if wanted > 0 and not holder.users:
                wanted -= 1
                holder.leaving = True
                self._start(self._unload(name, holder))
        wanted -= sum(holder.closing for holder in settled.values() if not holder.leaving)
        for _, holder in sorted(over, key=lambda entry: entry[1].since or 0.0):
            if wanted > 0 and holder.users and not holder.closing:
                wanted -= 1
                holder.closing = True
        later = [holder.may_go_at() - now for holder in settled.values() if not holder.leaving and not holder.closing]
        soon = [seconds for seconds in later if seconds > 0]
        return min(soon) if wanted > 0 and soon else None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _load(self, files: AdapterFiles) -> None:
        """Load an adapter whose slot is reserved, and let its requests go; or tell them why not."""
        holder = self._holders[files.id]
        started = time.monotonic()
        try:
            loaded = [model["id"] for model in await self._client.models() if model.get("parent")]
            for name in loaded:  # by another process, or by this one before it restarted
                self._holders.setdefault(name, _Holder(since=0.0))
            if files.id not in loaded:
                if len(self._holders) > self._count:  # there is no room after all; its turn comes when one has left
                    del self._holders[files.id]
                    return
                await self._client.load_adapter(files.id, files.folder)
        except Exception as error:
            self._holders.pop(files.id, None)
            if isinstance(error, BadEngineRequest) and error.extra.get("engine_error", {}).get("type") == _TOO_MANY:
                self._count = max(1, len(self._holders))
            else:
                self._refuse(files.id, error)
        else:
            if self._holders.get(files.id) is not holder:  # it was deleted meanwhile
                self._start(self._unload(files.id, holder))
                return
            holder.since = time.monotonic()
            holder.turn = min(
                _LONGEST_TURN_SECONDS, max(_SHORTEST_TURN_SECONDS, _TURN_LOADS * (holder.since - started))
            )
            self._admit(files.id, holder)
        finally:
            self._changed.set()

    async def _unload(self, name: str, holder: _Holder) -> None:
        try:
            await self._client.unload_adapter(name)
        except IngrainError as error:  # whoever asks next meets the same, and tells it
            logger.warning("The engine at %s did not unload %s: %s", self._client.url, name, error.detail)
        finally:
            if self._holders.get(name) is holder:
                del self._holders[name]
            self._changed.set()

    def _admit(self, adapter_id: str, holder: _Holder) -> None:
        waiter = self._waiters.pop(adapter_id, None)
        for future in waiter.futures if waiter else ():
            if not future.done():
                holder.users += 1
                future.set_result(holder)

    def _refuse(self, adapter_id: str, error: Exception) -> None:
        waiter = self._waiters.pop(adapter_id, None)
        for future in waiter.futures if waiter else ():
            if not future.done():
                future.set_exception(error)
