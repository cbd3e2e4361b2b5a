import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from worker.pairs.model_size import parameters_of


def test_weights_that_lie_there_twice_count_once(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3, 4)}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({"b": torch.zeros(5)}, tmp_path / "model-00002-of-00002.safetensors")
    assert parameters_of(tmp_path) == 17
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "consolidated.safetensors")
    shards = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert parameters_of(tmp_path) == 17


def test_a_folder_without_weights_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no"):
        parameters_of(tmp_path)
