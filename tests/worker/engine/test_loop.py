"""The model's thread, without a model: what must not end it, and what is left when something does."""

import threading
from types import SimpleNamespace
from typing import Any

import pytest

from worker.engine.errors import EngineError
from worker.engine.loop import EngineLoop, Limits


def start(adapters: Any) -> EngineLoop:
    runner: Any = SimpleNamespace(slots=SimpleNamespace(shape=SimpleNamespace(token_bytes=1)))
    loop = EngineLoop(runner, adapters, None, frozenset(), Limits(rows=1, step_tokens=1, queue=1, prefix_bytes=0))
    loop.start()
    return loop


def test_a_call_that_was_cancelled_does_not_end_the_thread() -> None:
    loop = start(SimpleNamespace(leaving=False))
    going_on = threading.Event()
    loop.call(lambda: going_on.wait(10))
    assert loop.call(lambda: 1).cancel()
    last = loop.call(lambda: 2)
    going_on.set()
    assert last.result(10) == 2
    loop.stop(grace=0)
    loop.join(10)
    assert not loop.is_alive()
    assert not loop.failed


def test_an_error_that_ends_the_thread_is_known_and_leaves_nobody_waiting() -> None:
    class Adapters:
        @property
        def leaving(self) -> bool:
            raise SystemExit

    loop = start(Adapters())
    loop.call(lambda: 1)
    loop.join(10)
    assert loop.failed
    with pytest.raises(EngineError, match="is stopping"):
        loop.call(lambda: 2)
