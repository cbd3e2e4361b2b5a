"""A training that starts from a trained adapter instead of from nothing."""

import json
from pathlib import Path
from typing import Final

from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file

from worker.distillation.student import Student

_SCALE: Final = ("r", "lora_alpha", "use_rslora", "use_dora")


def start_from(student: Student, adapter: Path) -> bool:
    """Give the student's fresh adapter the weights of a trained one, where they fit; whether they did.

    They fit where both have the same rank and scale, and matrices of the same shapes on the same layers.

    Args:
        student: changed in place.
        adapter: folder in PEFT's own layout.
    """
    config = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    own = student.model.peft_config["default"]
    if any(config.get(name) != getattr(own, name) for name in _SCALE):
        return False
    weights = load_file(adapter / "adapter_model.safetensors")
    wanted = get_peft_model_state_dict(student.model, save_embedding_layers=False)
    if {name: weight.shape for name, weight in weights.items()} != {
        name: weight.shape for name, weight in wanted.items()
    }:
        return False
    set_peft_model_state_dict(student.model, weights)
    return True
