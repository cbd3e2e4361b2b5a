"""What a plain forward pass of transformers and peft says: the truth that the engine is compared with."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer


@lru_cache
def model_of(base: Path, adapter: Path | None = None) -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter))
    return model.eval()


@lru_cache
def tokenizer_of(base: Path) -> Any:
    return AutoTokenizer.from_pretrained(base)


@torch.inference_mode()
def logprobs(base: Path, tokens: list[int], adapter: Path | None = None) -> list[float]:
    """Log-probability of each token but the first."""
    logits = model_of(base, adapter)(torch.tensor([tokens])).logits[0, :-1]
    found: list[float] = logits.log_softmax(-1).gather(1, torch.tensor(tokens[1:]).unsqueeze(1)).squeeze(1).tolist()
    return found


@torch.inference_mode()
def greedy(base: Path, prompt: list[int], count: int, adapter: Path | None = None) -> list[int]:
    """The likeliest continuation, one plain forward pass a token."""
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(int(model_of(base, adapter)(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(prompt) :]
