"""What the engine and the training run on."""

from collections.abc import Callable

import torch

from worker.device import expect_many_shapes


def test_on_a_gpu_cudnn_does_not_plan_its_attention_for_every_shape() -> None:
    is_on: Callable[[], bool] = torch.backends.cuda.cudnn_sdp_enabled
    before = is_on()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        expect_many_shapes(torch.device("cpu"))
        assert is_on()
        expect_many_shapes(torch.device("cuda"))
        assert not is_on()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
