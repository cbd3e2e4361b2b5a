"""What the engine and the training run on."""

import torch

from worker.device import expect_many_shapes


def test_on_a_gpu_cudnn_does_not_plan_its_attention_for_every_shape() -> None:
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        expect_many_shapes(torch.device("cpu"))
        assert torch.backends.cuda.cudnn_sdp_enabled()
        expect_many_shapes(torch.device("cuda"))
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
