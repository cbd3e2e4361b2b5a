import asyncio

import pytest

from worker.pairs.together import together


async def after(turns: int, result: str, ended: list[str]) -> str:
    """Give way so often, then return the result, which "bad" does not."""
    try:
        for _ in range(turns):
            await asyncio.sleep(0)
        if result == "bad":
            raise ValueError(result)
    finally:
        ended.append(result)
    return result


def test_results_come_in_the_order_of_the_work() -> None:
    ended: list[str] = []
    assert asyncio.run(together(after(turns, str(turns), ended) for turns in (3, 1, 2))) == ["3", "1", "2"]
    assert ended == ["1", "2", "3"]


def test_the_first_error_ends_the_rest_before_it_is_raised() -> None:
    ended: list[str] = []

    async def nested() -> None:
        with pytest.raises(ValueError, match="bad"):
            await together([after(9**9, "never", ended), together([after(2, "bad", ended), after(9**9, "x", ended)])])
        assert sorted(ended) == ["bad", "never", "x"]

    asyncio.run(nested())
