"""What a step has to tell, handed to the event loops of those who wait for it."""

import contextlib
from typing import Any

from worker.engine.sequences import Output, Request


class Outbox:
    """Outputs and errors of requests, in order. Only for the model's thread."""

    def __init__(self) -> None:
        self._events: list[tuple[Request, Output | Exception | None]] = []

    def put(self, request: Request, output: Output) -> None:
        """Something new of one of the request's answers; the request ends with the last of them."""
        self._events.append((request, output))
        if output.finish_reason:
            request.unfinished -= 1
            if request.unfinished == 0:
                self._events.append((request, None))

    def give_up(self, request: Request, error: Exception) -> None:
        """The request ends with an error."""
        self._events.append((request, error))

    def send(self) -> None:
        """Hand all to the requests' event loops, with one wake-up each."""
        by_loop: dict[Any, list[tuple[Request, Output | Exception | None]]] = {}
        for request, output in self._events:
            by_loop.setdefault(request.loop, []).append((request, output))
        self._events = []
        for loop, events in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_deliver, events)


def _deliver(events: list[tuple[Request, Output | Exception | None]]) -> None:
    for request, output in events:
        request.outputs.put_nowait(output)
