"""The device that models run on, and what they compute with there: alike in the engine and in the training."""

from typing import Any

import torch
from torch import Tensor


def choose_device() -> torch.device:
    """A GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware computes with it faster than with float32: on most GPUs, and on CPUs with AMX.

    AVX512-BF16 alone does not pay: on two such cores float32 ran SmolLM2's matrices at 190 to 300 GFLOP/s, bfloat16 at
    120 to 165.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    if device.type == "cpu" and torch.cpu._is_amx_tile_supported():
        return torch.bfloat16
    return torch.float32


def expect_many_shapes(device: torch.device) -> None:
    """Choose attention for passes of which hardly two have the same shape, as answers that grow and packed rows have.

    cuDNN, which PyTorch prefers on recent GPUs, plans anew for each shape: a step of 128 rows of a model of 0.5B took
    61 ms on an H200 with it, and 17 ms without.
    """
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)


def one_block(states: Tensor) -> Tensor:
    """A copy without gaps. `contiguous()` leaves a single row as it is, whose strides still tell of the gaps."""
    return states.clone(memory_format=torch.contiguous_format)


def give_head_whole_blocks(model: Any) -> None:
    """Hand a model's LM head its hidden states as one block in memory, also where only each row's last is asked for.

    On CPUs PyTorch multiplies such a slice of several rows row by row, and in bfloat16 without the hardware for it:
    with a vocabulary of 151,936 and two cores with AMX, 16 rows took 8.4 s, as a block 26 ms (`benchmarks/lm_head.py`).
    """

    def copy(_: torch.nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        hidden, *rest = given
        return (one_block(hidden), *rest)

    model.get_output_embeddings().register_forward_pre_hook(copy)
