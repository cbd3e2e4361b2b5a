"""What the engine and the training run on."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny import make_base
from worker.device import choose_dtype, expect_many_shapes
from worker.distillation import student
from worker.engine import runner

is_on: Callable[[], bool] = torch.backends.cuda.cudnn_sdp_enabled


@pytest.fixture(autouse=True)
def _cudnn_on() -> Iterator[None]:
    before = is_on()
    torch.backends.cuda.enable_cudnn_sdp(True)
    yield
    torch.backends.cuda.enable_cudnn_sdp(before)


def test_on_a_gpu_cudnn_does_not_plan_its_attention_for_every_shape() -> None:
    expect_many_shapes(torch.device("cpu"))
    assert is_on()
    expect_many_shapes(torch.device("cuda"))
    assert not is_on()


def test_engine_and_training_expect_many_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, device = make_base(tmp_path / "base"), torch.device("cpu")
    told: list[str] = []
    monkeypatch.setattr(student, "expect_many_shapes", lambda device: told.append(f"training on {device}"))
    monkeypatch.setattr(runner, "expect_many_shapes", lambda device: told.append(f"engine on {device}"))
    student.load_base(base, device, torch.float32)
    runner.load_base_model(base, device, torch.float32)
    assert told == ["training on cpu", "engine on cpu"]


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: native or including_emulation)
    assert choose_dtype(torch.device("cuda")) == dtype


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("loaded", ["engine", "training"])
def test_the_head_has_the_last_of_each_row_as_one_block(tmp_path: Path, loaded: str, rows: int) -> None:
    folder, device = make_base(tmp_path / "base"), torch.device("cpu")
    if loaded == "engine":
        model = runner.load_base_model(folder, device, torch.float32)
    else:
        model, _ = student.load_base(folder, device, torch.float32)
    head = model.get_output_embeddings()
    given: list[torch.Tensor] = []
    head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    hidden_RTD = torch.randn(rows, 5, model.config.hidden_size)
    last_R1V = head(hidden_RTD[:, -1:])
    width = model.config.hidden_size
    assert given[0].stride() == (width, width, 1)
    assert torch.equal(given[0], hidden_RTD[:, -1:])
    assert torch.allclose(last_R1V, hidden_RTD[:, -1:] @ head.weight.T, atol=1e-5)
