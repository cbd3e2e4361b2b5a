"""Adapters that were never trained: LoRAs with small random weights, in the layout that distil writes.

What an adapter has learnt changes neither how long an engine takes with it nor how exactly it computes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch

from worker.distillation.student import new_student

_SPREAD: Final = 0.02  # of both matrices: with a rank of 32 an update of a tenth of the base model's weights or less


def make_adapters(model: Path, rank: int, folders: Sequence[Path]) -> None:
    """Write an adapter of the base model into each folder, each with other weights."""
    student = new_student(model, rank, 0, torch.device("cpu"), torch.float32)
    weights = [parameter for name, parameter in student.model.named_parameters() if "lora_" in name]
    for seed, folder in enumerate(folders):
        torch.manual_seed(seed)
        for weight in weights:
            torch.nn.init.normal_(weight, std=_SPREAD)
        student.model.save_pretrained(str(folder))
