import asyncio
import contextlib

from worker.stages.turns import Turns


class Requests:
    """Requests that last until they are let go, by name, in the order in which their turns came."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.begun: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def add(self, name: str) -> None:
        """A request `name` of the group that its first letter names."""
        self.tasks[name] = asyncio.create_task(self._last(name))
        await asyncio.sleep(0)

    async def end(self, name: str) -> None:
        self.tasks[name].cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.tasks[name]
        await asyncio.sleep(0)

    async def _last(self, name: str) -> None:
        async with self.turns.turn(name[0]):
            self.begun.append(name)
            await asyncio.Event().wait()


def test_a_bounded_number_at_once_and_what_an_early_group_asks_late_before_later_groups() -> None:
    async def run() -> None:
        requests = Requests(Turns(2))
        for name in ("a1", "b1", "b2", "c1", "b3", "a2"):
            await requests.add(name)
        assert requests.begun == ["a1", "b1"]
        for name, following in (("b1", "a2"), ("a1", "b2"), ("a2", "b3"), ("b2", "c1")):
            await requests.end(name)
            assert requests.begun[-1] == following
        await requests.end("b3")
        await requests.add("d1")
        await requests.add("d2")
        assert requests.begun[-1] == "d1"

    asyncio.run(run())


def test_a_request_that_is_given_up_takes_no_turn() -> None:
    async def run() -> None:
        requests = Requests(Turns(1))
        for name in ("a1", "b1", "c1", "d1"):
            await requests.add(name)
        await requests.end("b1")  # while it waits
        requests.tasks["a1"].cancel()
        for _ in range(2):  # until its turn has passed on, and not until the next one knows
            if not requests.tasks["a1"].done():
                await asyncio.sleep(0)
        await requests.end("c1")
        assert "b1" not in requests.begun
        assert requests.begun[-1] == "d1"

    asyncio.run(run())
