"""The writer on a real engine: what it sends, what it counts, and an engine that goes while it writes."""

import asyncio
import json
import re
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.errors import EngineUnavailable
from tests.engine.dialects import on_embedded, on_vllm
from tests.engine.under_test import Engine
from tests.tiny import NAME, EmbeddedEngine, free_port
from tests.worker.stages.conftest import MakeInputs
from tests.worker.stages.made_inputs import stage_inputs
from worker.pairs.writer import Completion, Sampling
from worker.pairs.writing import questions_in
from worker.stages import EngineAddress, StageInputs, ask, read
from worker.stages.generation import EMBEDDED, JOURNAL_FILE, EngineWriter, forget_answers, open_writer

TEXT = " ".join(
    f"The Hollin Museum bought {number} boats from Ada Pell in {1900 + number}." for number in range(20, 28)
)
PASSAGE = "The Hollin Museum was founded by Ada Pell. " * 5
BLOCK = 128
"""Tokens that vLLM caches as one on a CPU; the embedded engine's blocks are smaller."""
HOT = Sampling(n=3, temperature=1.0, max_tokens=12)
Result = TypeVar("Result")


@pytest.fixture
def inputs(engine: Engine, tmp_path: Path) -> StageInputs:
    """A stage's, with the engine under test."""
    return stage_inputs(engine.base, engine.url, tmp_path)


def write(inputs: StageInputs, work: Callable[[EngineWriter], Awaitable[Result]]) -> Result:
    """What `work` does with a writer of the stage."""

    async def run() -> Result:
        async with open_writer(inputs) as writer:
            return await work(writer)

    return asyncio.run(run())


async def ask_in_groups(writer: EngineWriter) -> tuple[list[list[Completion]], dict[str, Any]]:
    """Three questions about each of two passages, hot."""
    answers = await asyncio.gather(
        *(
            writer.chat([{"role": "user", "content": f"{group} {PASSAGE}{word}?"}], HOT, group=group)
            for group in ("p1", "p2")
            for word in ("Who", "When", "Why")
        )
    )
    return answers, writer.counts()


def test_requests_of_a_group_compute_their_passage_once_and_are_counted(inputs: StageInputs) -> None:
    _, counts = write(inputs, ask_in_groups)
    assert (counts["requests"], counts["from_journal"]) == (6, 0)
    assert 6 < counts["completion_tokens"] <= 6 * HOT.n * HOT.max_tokens
    assert 4 * BLOCK <= counts["cached_tokens"] < counts["prompt_tokens"] * 4 / 6
    assert 0 < counts["seconds"] < 60


def test_a_later_run_is_served_what_a_former_one_was_answered(inputs: StageInputs) -> None:
    answers, counts = write(inputs, ask_in_groups)
    again, nothing = write(inputs, ask_in_groups)
    assert again == answers
    assert nothing == {**dict.fromkeys(counts, 0), "from_journal": 6}
    forget_answers(inputs)
    assert write(inputs, ask_in_groups)[1]["requests"] == 6


def test_a_chat_tells_how_sure_the_model_was(inputs: StageInputs) -> None:
    messages = [{"role": "user", "content": "Who?"}]
    scored = replace(HOT, scored=True)
    for completion in write(inputs, lambda writer: writer.chat(messages, scored, group="p1")):
        assert completion.logprob is not None
        assert -20 < completion.logprob < 0
    assert {told.logprob for told in write(inputs, lambda writer: writer.chat(messages, HOT, group="p1"))} == {None}


@on_embedded("vLLM is given no seed: one of a single request takes its sampling off the fast path")
def test_the_same_seed_writes_the_same(inputs: StageInputs, tmp_path: Path) -> None:
    def written(seed: int, run: int) -> list[Completion]:
        settings = inputs.settings.model_copy(update={"seed": seed})
        job = replace(inputs, settings=settings, scratch=tmp_path / str(run))
        return write(job, lambda writer: writer.complete("Question: Who", HOT, group="p1"))

    first, again, other = (written(seed, run) for run, seed in enumerate((1, 1, 2)))
    assert first == again
    assert first != other
    assert len({completion.text for completion in first}) == 3


LIST = {"type": "array", "items": {"enum": ["Who?", "Why?"]}, "minItems": 2, "maxItems": 4}


@on_vllm("the embedded engine refuses a response_format")
def test_a_schema_holds_the_answer(inputs: StageInputs) -> None:
    sampling = replace(HOT, max_tokens=100)
    messages = [{"role": "user", "content": "Who?"}]
    for completion in write(inputs, lambda writer: writer.chat(messages, sampling, group="p1", schema=LIST)):
        assert completion.finish_reason == "stop"
        assert len(json.loads(completion.text)) in {2, 3, 4}
        assert set(questions_in(completion.text)) <= {"Who?", "Why?"}


@on_embedded("vLLM knows schemas")
def test_a_schema_is_not_sent_to_an_engine_that_knows_none(inputs: StageInputs) -> None:
    messages = [{"role": "user", "content": "Who?"}]
    assert len(write(inputs, lambda writer: writer.chat(messages, HOT, group="p1", schema=LIST))) == HOT.n


class BreakingOff(BaseHTTPRequestHandler):
    """An engine as vLLM, which breaks off as many answers as the server is set to."""

    server: "BreakingServer"

    def do_GET(self) -> None:
        self._answer({"data": [{"id": NAME, "owned_by": self.server.owner}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked += 1
        reason = "abort" if self.server.asked <= self.server.broken else "stop"
        usage = {"prompt_tokens": 1, "completion_tokens": 1}
        self._answer({"choices": [{"text": "Ada", "finish_reason": reason}], "usage": usage})

    def _answer(self, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class BreakingServer(ThreadingHTTPServer):
    """Counts what it is asked."""

    owner = "vllm"
    broken = 0
    asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def other_engine() -> Iterator[BreakingServer]:
    """An engine that does as a test wants it."""
    with BreakingServer(("127.0.0.1", 0), BreakingOff) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


def test_an_answer_that_was_broken_off_is_asked_for_again(inputs: StageInputs, other_engine: BreakingServer) -> None:
    there = replace(inputs, engine=EngineAddress((other_engine.url,)))
    other_engine.broken = 2
    (completion,) = write(there, lambda writer: writer.complete("Who", HOT, group="p1"))
    assert (completion.text, completion.finish_reason, other_engine.asked) == ("Ada", "stop", 3)
    other_engine.asked, other_engine.broken = 0, 10
    with pytest.raises(EngineUnavailable, match=re.escape("broke off an answer (abort)")):
        write(there, lambda writer: writer.complete("Why", HOT, group="p1"))
    assert other_engine.asked == 3


def test_the_engine_is_the_embedded_one_where_every_replica_that_answers_is(
    inputs: StageInputs, other_engine: BreakingServer
) -> None:
    async def is_seeded(writer: EngineWriter) -> bool:
        return "seed" in writer._payload(HOT, "Who")

    def at(*urls: str) -> StageInputs:
        return replace(inputs, engine=EngineAddress(urls, patience=0.5))

    away = f"http://127.0.0.1:{free_port()}"
    (real,) = inputs.engine.urls
    for urls in ((real, other_engine.url), (other_engine.url, real)):
        assert not write(at(*urls), is_seeded)
    other_engine.owner = EMBEDDED
    assert write(at(away, other_engine.url), is_seeded)
    with pytest.raises(EngineUnavailable, match="does not answer"):
        write(at(away), is_seeded)


@pytest.fixture
def mortal_engine(writing_engine: EmbeddedEngine) -> Iterator[EmbeddedEngine]:
    """An engine that a test may kill."""
    engine = EmbeddedEngine(writing_engine.base)
    engine.start()
    yield engine
    if engine.process is not None and engine.process.poll() is None:
        engine.stop()


@pytest.fixture
def whole(make_inputs: MakeInputs, folder: Callable[[str], Path], tmp_path: Path) -> dict[str, Any]:
    """What ask tells when nothing goes wrong, and after it, its questions are in the folder "undisturbed"."""
    inputs = replace(make_inputs(TEXT), scratch=tmp_path / "undisturbed")
    read.run(inputs, folder("read"), lambda *_: None)
    summary = ask.run(inputs, folder("undisturbed"), lambda *_: None)
    assert summary["engine"]["requests"] > 50
    return summary


def _begin(inputs: StageInputs, out: Path, engine: EmbeddedEngine) -> Future[dict[str, Any]]:
    """Begin to ask, a few requests at a time, and kill the engine in the middle of it."""
    executor = ThreadPoolExecutor(1)
    running = executor.submit(ask.run, inputs, out, lambda *_: None)
    executor.shutdown(wait=False)
    while _answered(inputs) < 10:
        assert not running.done()
        time.sleep(0.01)
    engine.stop(signal.SIGKILL)
    assert not running.done()
    return running


def _answered(inputs: StageInputs) -> int:
    journal = inputs.scratch / JOURNAL_FILE
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def _at(inputs: StageInputs, engine: EmbeddedEngine, patience: float) -> StageInputs:
    return replace(inputs, engine=EngineAddress((engine.url,), patience=patience, concurrency=4))


def test_an_engine_that_comes_back_ends_the_stage_well(
    make_inputs: MakeInputs, folder: Callable[[str], Path], whole: dict[str, Any], mortal_engine: EmbeddedEngine
) -> None:
    inputs = _at(make_inputs(TEXT), mortal_engine, patience=60)
    running = _begin(inputs, folder("ask"), mortal_engine)
    mortal_engine.start()
    summary = running.result(timeout=120)
    assert summary["engine"]["requests"] == whole["engine"]["requests"] == _answered(inputs)
    assert _questions(folder("ask")) == _questions(folder("undisturbed"))


def test_an_engine_that_stays_away_ends_the_stage_and_the_next_run_asks_only_for_the_rest(
    make_inputs: MakeInputs, folder: Callable[[str], Path], whole: dict[str, Any], mortal_engine: EmbeddedEngine
) -> None:
    inputs = _at(make_inputs(TEXT), mortal_engine, patience=1)
    running = _begin(inputs, folder("ask"), mortal_engine)
    killed = time.monotonic()
    with pytest.raises(EngineUnavailable, match=re.escape(f"The engine at {mortal_engine.url} does not answer")):
        running.result(timeout=60)
    assert time.monotonic() - killed < 5
    answered = _answered(inputs)
    assert 10 <= answered < whole["engine"]["requests"]
    mortal_engine.start()
    again = ask.run(inputs, folder("ask"), lambda *_: None)
    assert again["engine"]["from_journal"] == answered
    assert again["engine"]["requests"] == whole["engine"]["requests"] - answered
    assert _questions(folder("ask")) == _questions(folder("undisturbed"))


def _questions(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "questions.jsonl").read_text().splitlines()]
