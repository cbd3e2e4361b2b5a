"""The engine and the training share a GPU by turns (INGRAIN_VLLM_SLEEP): the engine sleeps while a job trains.

Jobs of several workers take turns as well, by what the database tells of their stages. A stage that trains records
its beginning, waits for the others' generating stages to end, and puts the engine to sleep; one that needs the engine
begins only while nobody trains, and wakes it. So neither ever waits for one that waits for it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, Final, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.engine.client import EngineClient
from app.errors import ConfigurationError, EngineUnavailable, IngrainError
from app.jobs import leases
from app.jobs.leases import GENERATING_STAGES, TRAINING_STAGES, Lease
from app.settings import Settings
from worker.lease import Keeper
from worker.logs import job_log

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS: Final = 0.2
_WAKE_SECONDS: Final = 120.0
_Result = TypeVar("_Result")

Check = Callable[[], None]
"""Raises when the job must stop."""


class EngineSleep:
    """Brings the engine, all its replicas, into the state that a stage needs. Idle without INGRAIN_VLLM_SLEEP."""

    def __init__(self, settings: Settings) -> None:
        self._on = settings.vllm_sleep
        self._urls = settings.engine_urls
        self._key = settings.engine_api_key.get_secret_value() if settings.engine_api_key else None
        self._patience = settings.engine_patience_seconds

    def begin(self, keeper: Keeper, stage: str, check: Check) -> list[str]:
        """Record that the stage begins, when it may, and put the engine to sleep or wake it for it.

        Returns:
            Why memory may be short: replicas that should sleep and do not.

        Raises:
            ConfigurationError: the engine cannot sleep.
            EngineUnavailable: the engine could not be woken.
        """
        start = partial(leases.start_stage, stage=stage)
        if not self._on or stage not in GENERATING_STAGES + TRAINING_STAGES:
            keeper.write(start)
            return []
        if stage in TRAINING_STAGES:
            keeper.write(start)
            self._wait(
                lambda: not keeper.write(_others_generate),
                keeper,
                check,
                "waits for the generating stages of other jobs",
            )
            return _checked(self._put_to_sleep(), check)
        start_generating = partial(leases.start_generating, stage=stage)
        self._wait(lambda: keeper.write(start_generating), keeper, check, "waits for another job, which trains")
        _checked(self._wake_for_stage(), check)
        return []

    def wake_unless_training(self) -> None:
        """Wake the engine if it sleeps for nobody: at a job's end, and after a worker that was killed."""
        if not self._on:
            return
        try:
            asyncio.run(self._wake_unless_training())
        except (IngrainError, SQLAlchemyError) as error:
            _LOG.warning("The engine may sleep for nobody and could not be woken, which is tried again: %s", error)

    def _wait(self, ready: Callable[[], bool], keeper: Keeper, check: Check, why: str) -> None:
        told = False
        while not ready():
            if not told:
                job_log(__name__, keeper.lease.job_id).info("%s", why)
                told = True
            check()
            keeper.lost.wait(_LOOK_SECONDS)

    async def _put_to_sleep(self) -> list[str]:
        results = await self._each(self._sleep)
        awake = []
        for url, told in results.items():
            if isinstance(told, ConfigurationError):
                raise told
            if isinstance(told, IngrainError):
                _LOG.warning("The engine at %s did not go to sleep: %s", url, told.detail)
                awake.append(f"The engine at {url} did not go to sleep, so memory may be short: {told.detail}")
        _LOG.info("%d of %d engines sleep", len(results) - len(awake), len(results))
        return awake

    async def _wake_for_stage(self) -> None:
        """Wake the replicas; one that does not answer is left to those who use it, if another one does."""
        results = await self._each(_wake)
        failures = [told for told in results.values() if isinstance(told, IngrainError)]
        for failure in failures:
            if isinstance(failure, ConfigurationError):
                raise failure
            _LOG.warning("An engine could not be woken: %s", failure.detail)
        if len(failures) == len(results):
            raise failures[0]

    async def _wake_unless_training(self) -> None:
        sleeping = [url for url, told in (await self._each(EngineClient.is_sleeping)).items() if told is True]
        if not sleeping or _stages_under_way()[0]:
            return
        _LOG.info("no job trains; waking %s", ", ".join(sleeping))
        results = await self._each(_wake, sleeping)
        training, generating = _stages_under_way()
        if training and not generating:  # it began meanwhile, and found the engine asleep already
            results = await self._each(self._sleep, sleeping)
        for told in results.values():
            if isinstance(told, IngrainError):
                raise told

    async def _sleep(self, client: EngineClient) -> None:
        await client.sleep(self._patience)

    async def _each(
        self, ask: Callable[[EngineClient], Awaitable[_Result]], urls: Sequence[str] | None = None
    ) -> dict[str, _Result | IngrainError]:
        """What each replica tells, or its error."""

        async def one(url: str) -> _Result | IngrainError:
            try:
                async with EngineClient(url, self._key) as client:
                    return await ask(client)
            except IngrainError as error:
                return error

        asked = self._urls if urls is None else urls
        return dict(zip(asked, await asyncio.gather(*map(one, asked)), strict=True))


async def _wake(client: EngineClient) -> None:
    try:
        async with asyncio.timeout(_WAKE_SECONDS):
            if await client.is_sleeping():
                await client.wake_up()
    except TimeoutError:
        raise EngineUnavailable(
            f"The engine at {client.url} did not wake up within {_WAKE_SECONDS:.0f} s; its log may say why."
        ) from None


def _checked(work: Coroutine[Any, Any, _Result], check: Check) -> _Result:
    """The result of `work`, which is given up when the job must stop."""

    async def watch() -> _Result:
        task = asyncio.ensure_future(work)
        while not task.done():
            check()
            await asyncio.wait({task}, timeout=_LOOK_SECONDS)
        return task.result()

    return asyncio.run(watch())


def _others_generate(session: Session, lease: Lease) -> bool:
    return leases.is_generating(session, but_for=lease)


def _stages_under_way() -> tuple[bool, bool]:
    """Whether any job trains, and whether any generates."""
    with unit_of_work() as session:
        return leases.is_training(session), leases.is_generating(session)
