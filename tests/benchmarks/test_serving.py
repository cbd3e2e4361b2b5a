"""Figures of several rounds, and an engine that is started for them."""

import argparse
import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from app.engine.client import EngineClient
from app.engine.slots import AdapterFiles
from app.errors import ConfigurationError
from app.settings import Settings
from benchmarks.engine_process import engine_settings, running_engine, running_engines
from benchmarks.load import Measurement
from benchmarks.serving import make_plan, make_rows
from tests.benchmarks.conftest import Engine

ADAPTERS = [AdapterFiles(f"a{number}", Path(f"a{number}")) for number in range(5)]
OPTIONS = argparse.Namespace(adapters=[1, 4], clients=[1, 8], rounds=2, seconds=1, slots_seconds=1, tokens=8)


def children() -> set[int]:
    """The processes that this one has started."""
    return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))


def use_and_kill(settings: Settings, logs: Path) -> None:
    before = children()
    with running_engine(settings, "float32", logs) as url:
        [victim] = children() - before
        os.kill(victim, signal.SIGKILL)
        asyncio.run(EngineClient(url).models())


def kill_one_of_two(settings: Settings, logs: Path) -> None:
    before = children()
    with running_engines(settings, "float32", logs, (), 2):
        victim = min(children() - before)
        os.kill(victim, signal.SIGKILL)
        os.waitid(os.P_PID, victim, os.WEXITED | os.WNOWAIT)


def test_ratios_are_taken_within_a_round_against_the_base_with_as_many_clients() -> None:
    plan = make_plan(OPTIONS, ADAPTERS)
    slow, fast = ({cell: Measurement(speed * (10 - len(cell.adapters)), [0.5, 0.25]) for cell in
                   (*plan.cells, plan.few, plan.many)} for speed in (1, 3))  # fmt: skip
    rows = make_rows([slow, fast], plan)
    named = [(row.adapters, row.clients, row.slots) for row in rows]
    assert named[:3] == [(0, 1, None), (1, 1, None), (4, 1, None)]
    assert named[-2:] == [(4, 20, 4), (5, 20, 4)]
    assert [row.ratio for row in rows] == pytest.approx([1, 0.9, 0.6, 1, 0.9, 0.6, 1, 5 / 6])
    assert (rows[0].tokens_per_second, rows[0].first_token_median, rows[0].first_token_p95) == (20, 0.375, 0.5)


def test_rounds_that_were_too_short_say_so() -> None:
    plan = make_plan(OPTIONS, ADAPTERS)
    empty = {cell: Measurement(1.0, []) for cell in (*plan.cells, plan.few, plan.many)}
    with pytest.raises(ConfigurationError, match="--seconds"):
        make_rows([empty], plan)


def test_an_engine_is_started_and_ended(engine: Engine, tmp_path: Path) -> None:
    settings = engine_settings("embedded", engine.base, max_loras=1, max_lora_rank=8, vllm_python=None)
    with running_engine(settings, "float32", tmp_path, ("--max-num-seqs", "2")) as url:
        assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "base"
        refused = httpx.post(f"{url}/v1/completions", json={"model": "base", "prompt": "a", "n": 3})
        assert "at most 2" in refused.json()["error"]["message"]
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{url}/health")


def test_several_engines_answer_side_by_side(engine: Engine, tmp_path: Path) -> None:
    settings = engine_settings("embedded", engine.base, max_loras=1, max_lora_rank=8, vllm_python=None)
    with running_engines(settings, "float32", tmp_path, (), 2) as urls:
        assert len(set(urls)) == 2
        for url in urls:
            assert httpx.get(f"{url}/v1/models").json()["data"][0]["id"] == "base"
    for url in urls:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{url}/health")


def test_one_of_several_engines_that_ends_is_told_though_the_others_answer(engine: Engine, tmp_path: Path) -> None:
    settings = engine_settings("embedded", engine.base, max_loras=1, max_lora_rank=8, vllm_python=None)
    with pytest.raises(ConfigurationError, match=r"embedded engine was ended by SIGKILL"):
        kill_one_of_two(settings, tmp_path)


def test_an_engine_that_does_not_start_tells_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    settings = engine_settings("embedded", tmp_path, max_loras=1, max_lora_rank=8, vllm_python=None)
    with pytest.raises(ConfigurationError, match=r"embedded engine ended with status 1\. Its last words:"):
        with running_engine(settings, "auto", tmp_path):
            pass


def test_an_engine_that_ends_while_it_is_used_tells_its_last_words(engine: Engine, tmp_path: Path) -> None:
    settings = engine_settings("embedded", engine.base, max_loras=1, max_lora_rank=8, vllm_python=None)
    with pytest.raises(ConfigurationError, match=r"embedded engine was ended by SIGKILL\. Its last words:"):
        use_and_kill(settings, tmp_path)
