"""Two engines' opinions of the same tokens."""

import asyncio
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from benchmarks.agreement import Opinion, answers_of, compare, load, opinions_of, read_rank
from benchmarks.engine_process import engine_settings
from tests.benchmarks.conftest import Engine
from tests.tiny import NAME
from worker.distillation.prompts import student_messages


def test_differences_are_taken_token_by_token() -> None:
    base = [Opinion([-1.0, -3.0], [5, 6]), Opinion([-2.5], [7])]
    ours = [Opinion([-1.0, -2.0], [5, 6]), Opinion([-0.5], [7])]
    theirs = [Opinion([-1.5, -2.0], [5, 6]), Opinion([-0.25], [8])]
    found = compare("float32", base, ours, theirs)
    assert (found.tokens, found.mean, found.median, found.p99, found.largest) == (3, 0.25, 0.25, 0.5, 0.5)
    assert found.same_choice == pytest.approx(2 / 3)
    assert found.effect == 1


def test_an_engine_agrees_with_itself_and_chooses_its_own_greedy_answer(engine: Engine) -> None:
    asked = [student_messages("Who built it?"), student_messages("And when?")]
    asyncio.run(load(engine.url, engine.adapters[0].folder))
    answers = asyncio.run(answers_of(engine.url, asked, tokens=6))
    base, first, second = (
        asyncio.run(opinions_of(engine.url, model, asked, answers)) for model in (NAME, "adapter", "adapter")
    )
    assert answers == [told.choices for told in first]
    found = compare("float32", base, first, second)
    assert found.largest < 1e-4 < found.effect


def test_what_is_missing_is_named(engine: Engine, tmp_path: Path) -> None:
    assert read_rank(engine.adapters[0].folder) == 8
    with pytest.raises(ConfigurationError, match="--adapter"):
        read_rank(tmp_path)
    with pytest.raises(ConfigurationError, match="--model"):
        engine_settings("embedded", tmp_path, max_loras=1, max_lora_rank=8, vllm_python=None)
    with pytest.raises(ConfigurationError, match="vLLM is not installed"):
        engine_settings("vllm", engine.base, max_loras=1, max_lora_rank=8, vllm_python=None)
