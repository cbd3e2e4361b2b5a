"""Adapters at run time: loaded, mixed in one batch, unloaded, and refused with a reason."""

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engine.dialects import DIALECT, on_embedded
from tests.engine.reference import greedy, tokenizer_of
from tests.engine.under_test import Engine

PROMPT = "the lighthouse of Korvath stands"


def _expected(engine: Engine, prompt: str, adapter: Path | None) -> list[int]:
    return greedy(engine.base, tokenizer_of(engine.base).encode(prompt), 12, adapter)


def test_an_adapter_answers_as_soon_as_it_is_loaded_and_the_base_stays_as_it_was(engine: Engine) -> None:
    before = engine.tokens(PROMPT, ignore_eos=True)
    engine.load("red", engine.red)
    assert engine.tokens(PROMPT, model="red", ignore_eos=True) == _expected(engine, PROMPT, engine.red)
    assert engine.tokens(PROMPT, ignore_eos=True) == before == _expected(engine, PROMPT, None)
    assert [(model["id"], model["parent"]) for model in engine.models()] == [("tiny", None), ("red", "tiny")]


def test_two_adapters_and_the_base_answer_differently_in_one_batch(loaded: Engine) -> None:
    paths = {"tiny": None, "red": loaded.red, "blue": loaded.blue}
    asked = [(model, f"{PROMPT} {number}") for number in range(4) for model in paths]
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda one: loaded.tokens(one[1], model=one[0], ignore_eos=True), asked))
    for (model, prompt), answer in zip(asked, answers, strict=True):
        assert answer == _expected(loaded, prompt, paths[model]), (model, prompt)
    assert len({tuple(answer) for answer in answers[:3]}) == 3


def test_an_unloaded_adapter_is_unknown(loaded: Engine) -> None:
    red = loaded.text(PROMPT, model="red")
    loaded.unload("red")
    response = loaded.post("/v1/completions", model="red", prompt=PROMPT)
    assert response.status_code == 404
    assert "`red`" in response.json()["error"]["message"]
    assert loaded.text(PROMPT, model="blue") != red
    again = loaded.post("/v1/unload_lora_adapter", lora_name="red")
    assert (again.status_code, again.json()["error"]["type"]) == (404, "NotFoundError")


def test_a_name_used_again_for_another_adapter_gives_the_other_answers(engine: Engine) -> None:
    engine.load("one", engine.red)
    first = engine.text(PROMPT * 4, model="one")
    engine.unload("one")
    engine.load("one", engine.blue)
    assert engine.text(PROMPT * 4, model="one") != first


def test_an_adapter_is_unloaded_while_it_answers_and_the_answer_is_finished(loaded: Engine) -> None:
    asked = {"model": "red", "prompt": PROMPT, "temperature": 0, "max_tokens": 150, "ignore_eos": True, "stream": True}

    def pieces(lines: Iterator[str]) -> list[str]:
        events = [json.loads(line.removeprefix("data: ")) for line in lines if line and not line.endswith("[DONE]")]
        return [event["choices"][0]["text"] for event in events]

    expected = loaded.text(PROMPT, model="red", max_tokens=150, ignore_eos=True)
    with loaded.http.stream("POST", "/v1/completions", json=asked) as answer:
        lines = answer.iter_lines()
        first = pieces(iter([next(lines)]))
        loaded.unload("red")
        assert "".join(first + pieces(lines)) == expected


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("missing", 404, ("No adapter found", "missing" if DIALECT.names_missing_folder else "refused")),
        ("high", DIALECT.refused_adapter, ("LoRA rank 32 is greater than max_lora_rank 16",)),
        ("foreign", DIALECT.refused_adapter, DIALECT.words_for_foreign),
    ],
)
def test_an_adapter_that_cannot_be_served_is_refused(
    engine: Engine, folders: dict[str, Path], name: str, status: int, words: tuple[str, ...]
) -> None:
    folder = folders.get(name, engine.base.parent / name)
    response = engine.post("/v1/load_lora_adapter", lora_name="refused", lora_path=str(folder))
    assert response.status_code == status, response.text
    assert all(word in response.json()["error"]["message"] for word in words), response.text
    assert engine.post("/v1/completions", model="refused", prompt="a").status_code == 404
    assert engine.tokens(PROMPT, ignore_eos=True) == _expected(engine, PROMPT, None)
    engine.load("red", engine.red)
    assert engine.tokens(PROMPT, model="red", ignore_eos=True) == _expected(engine, PROMPT, engine.red)


def test_a_name_that_is_taken_is_refused(loaded: Engine) -> None:
    response = loaded.post("/v1/load_lora_adapter", lora_name="red", lora_path=str(loaded.blue))
    assert response.status_code == 400
    assert "has already been loaded" in response.json()["error"]["message"]
    assert loaded.post("/v1/load_lora_adapter", lora_name="tiny", lora_path=str(loaded.red)).status_code == 400


def test_a_damaged_adapter_is_refused(engine: Engine, tmp_path: Path) -> None:
    folder = shutil.copytree(engine.red, tmp_path / "damaged")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    response = engine.post("/v1/load_lora_adapter", lora_name="damaged", lora_path=str(folder))
    assert response.status_code == DIALECT.refused_adapter
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    shutil.copy(engine.red / weights.name, weights)
    response = engine.post("/v1/load_lora_adapter", lora_name="damaged", lora_path=str(folder))
    assert response.status_code == DIALECT.refused_adapter
    assert "DoRA" in response.json()["error"]["message"]


@on_embedded("vLLM takes the rank from the weights where the configuration names a lower one")
def test_a_load_that_fails_half_way_leaves_the_engine_as_it_was(engine: Engine, tmp_path: Path) -> None:
    before = engine.tokens(PROMPT, ignore_eos=True)
    folder = shutil.copytree(engine.red, tmp_path / "half")
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "r": 4}))  # its weights are of rank 8
    for others in (False, True):
        response = engine.post("/v1/load_lora_adapter", lora_name="half", lora_path=str(folder))
        assert response.status_code == 400, response.text
        assert engine.tokens(PROMPT, ignore_eos=True) == before
        if not others:
            engine.load("red", engine.red)
    assert engine.tokens(PROMPT, model="red", ignore_eos=True) == _expected(engine, PROMPT, engine.red)
