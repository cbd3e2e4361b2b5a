"""How far adapters are from their base model where the answer stands in the prompt."""

import argparse
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.errors import ConfigurationError
from benchmarks.random_adapters import make_adapters
from benchmarks.reading import main, measure
from tests.tiny import make_base

DATA = Path(__file__).parents[2] / "benchmarks" / "data" / "invented.jsonl"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


def test_an_adapter_that_changes_nothing_is_not_far_and_another_is(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "some", tmp_path / "nothing"]
    make_adapters(base, 8, folders)
    _silence(folders[1])
    told = tmp_path / "told.json"
    adapters = [str(folder) for folder in folders]
    options = ["--data", str(DATA), "--passages", "2", "--model", str(base), "--json", str(told)]
    monkeypatch.setattr("benchmarks.reading.choose_dtype", lambda _: torch.float32)  # bfloat16 is not as exact
    monkeypatch.setattr("sys.argv", ["reading", *options, "--adapters", *adapters])
    main()
    rows = json.loads(told.read_text())
    assert list(rows) == adapters
    assert rows[adapters[1]]["nats"] == pytest.approx(0, abs=1e-6)
    assert rows[adapters[1]]["same_first_choice"] == 1
    assert rows[adapters[0]]["nats"] > 1e-3
    assert rows[adapters[0]]["tokens"] == rows[adapters[1]]["tokens"] > 0


def test_a_folder_without_an_adapter_is_told(base: Path, tmp_path: Path) -> None:
    options = argparse.Namespace(data=DATA, passages=1, passages_read=1, model=str(base), adapters=[tmp_path])
    with pytest.raises(ConfigurationError, match="holds no adapter"):
        measure(options)


def _silence(folder: Path) -> None:
    """Make an adapter do nothing."""
    weights = load_file(folder / "adapter_model.safetensors")
    save_file(
        {name: weight * 0 if "lora_B" in name else weight for name, weight in weights.items()},
        folder / "adapter_model.safetensors",
    )
