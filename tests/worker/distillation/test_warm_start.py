"""A student that starts from a trained adapter."""

from pathlib import Path

import pytest
import torch

from tests.tiny import make_adapter, make_base
from worker.distillation.student import Student, load_student, new_student
from worker.distillation.warm_start import start_from

QUESTION = [5, 6, 7, 8, 9]


def logits(student: Student) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = student.model(torch.tensor([QUESTION])).logits
    return found


def test_it_answers_as_the_trained_one_and_can_be_trained(student: Student, tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "adapter", rank=4)
    fresh = logits(student)
    assert start_from(student, adapter)
    trained = load_student(tiny_model, adapter, torch.device("cpu"), torch.float32)
    torch.testing.assert_close(logits(student), logits(trained))
    assert not torch.allclose(logits(student), fresh, atol=1e-2)
    assert {weight.dtype for weight in student.trained_parameters().values()} == {torch.float32}


@pytest.mark.parametrize("other", ["rank", "shape"])
def test_an_adapter_that_does_not_fit_changes_nothing(
    student: Student, tiny_model: Path, tmp_path: Path, other: str
) -> None:
    base = tiny_model if other == "rank" else make_base(tmp_path / "wide", hidden=96)
    adapter = make_adapter(base, tmp_path / "adapter", rank=8 if other == "rank" else 4)
    before = logits(student)
    assert not start_from(student, adapter)
    assert torch.equal(logits(student), before)


def test_a_scale_of_another_kind_does_not_fit(tiny_model: Path, student: Student, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "adapter", rank=4)
    config = adapter / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 8', '"lora_alpha": 16'))
    assert not start_from(student, adapter)
    assert start_from(new_student(tiny_model, 4, 1, torch.device("cpu"), torch.float32), _saved(student, tmp_path))


def _saved(student: Student, folder: Path) -> Path:
    student.save(folder / "own")
    return folder / "own"
