"""A student on a tiny base model with random weights: real code paths, in fractions of a second."""

from pathlib import Path

import pytest
import torch

from tests.tiny import make_base
from worker.distillation.student import Student, new_student


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def student(tiny_model: Path) -> Student:
    """A student in float32 on the CPU with a fresh adapter."""
    return new_student(tiny_model, rank=4, seed=0, device=torch.device("cpu"), dtype=torch.float32)
