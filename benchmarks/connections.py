"""What sending requests to an engine costs, by how many are under way at once.

    python -m benchmarks.connections --at-once 16 64 256 [--requests 6] [--seconds 0.5] [--rounds 3]

A server of its own, in another process, answers each request after so many seconds with what a short scored chat
answer looks like. httpx's own pool and `app.engine.connections` send them in turns, over connections that are open;
told is this process's processor time a request, and how many requests a second went through.
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import httpx
from rich.console import Console
from rich.table import Table

from app.engine.connections import Connections
from app.supervisor.ports import free_port

ASKED: Final = {"model": "m", "messages": [{"role": "user", "content": "why? " * 300}]}
SCORED: Final = [{"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}] * 14
ANSWER: Final = json.dumps({"choices": [{"message": {"content": "because"}, "logprobs": {"content": SCORED}}]}).encode()

WAYS: Final[dict[str, Callable[[int], httpx.AsyncBaseTransport]]] = {
    "one pool": lambda most: httpx.AsyncHTTPTransport(
        limits=httpx.Limits(max_connections=most, max_keepalive_connections=most)
    ),
    "small pools": Connections,
}


async def answer_late(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
    """The server, as ASGI has it."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await asyncio.sleep(float(scope["query_string"]))
    headers = [(b"content-length", str(len(ANSWER)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": ANSWER})


async def measure(transport: httpx.AsyncBaseTransport, url: str, at_once: int, requests: int) -> tuple[float, float]:
    """Milliseconds of processor time a request, and requests a second."""
    room = asyncio.Semaphore(at_once)
    async with httpx.AsyncClient(transport=transport, timeout=600, trust_env=False) as client:

        async def ask() -> None:
            async with room:
                (await client.post(url, json=ASKED)).raise_for_status().json()

        await asyncio.gather(*(ask() for _ in range(at_once)))  # opens the connections
        busy, began = time.process_time(), time.monotonic()
        await asyncio.gather(*(ask() for _ in range(requests)))
        return 1000 * (time.process_time() - busy) / requests, requests / (time.monotonic() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--at-once", type=int, nargs="+", default=[16, 64, 256], help="requests under way")
    parser.add_argument("--requests", type=int, default=6, help="for each of these, so many in all")
    parser.add_argument("--seconds", type=float, default=0.5, help="that an answer takes")
    parser.add_argument("--rounds", type=int, default=3, help="in turns; told is the median")
    options = parser.parse_args()
    port = free_port()
    command = ["-m", "uvicorn", "benchmarks.connections:answer_late", "--port", str(port), "--log-level", "error"]
    command += ["--timeout-keep-alive", "60"]  # a client that is overloaded would send on a connection just closed
    table = Table("at once", "sent by", "ms of processor time a request", "requests/s")
    with subprocess.Popen([sys.executable, *command]) as server:
        try:
            _wait_for(port, server)
            url = f"http://127.0.0.1:{port}/?{options.seconds}"
            for at_once in options.at_once:
                told: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
                for _ in range(options.rounds):
                    for name, transport in WAYS.items():
                        requests = options.requests * at_once
                        told[name].append(asyncio.run(measure(transport(at_once), url, at_once, requests)))
                for name, rounds in told.items():
                    cost, rate = (statistics.median(figures) for figures in zip(*rounds, strict=True))
                    table.add_row(str(at_once), name, f"{cost:.2f}", f"{rate:.0f}")
        finally:
            server.terminate()
    Console(width=120).print(table)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        if server.poll() is not None or time.monotonic() > deadline:
            sys.exit("The server of this benchmark did not start.")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
