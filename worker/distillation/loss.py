"""Forward KL from teacher to student at a temperature, over the whole vocabulary, without ever holding it whole.

Teacher and student are given as last hidden states at the answer positions; the LM head, which both share and which
is never trained, turns some of them at a time into logits. The gradient to the student's hidden states is computed in
the same pass, since it needs just what the value needs: nothing is computed twice, and no (tokens x vocabulary)
matrix outlives its chunk.

Letters: N answer positions, D hidden size, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

CHUNK = 128  # positions at a time: 128 x 49152 float32 logits are 25 MB


def forward_kl(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float = 1.0) -> Tensor:
    """KL(teacher || student) at `temperature`, times its square, in nats for each position.

    Args:
        student_ND: last hidden states of the student; the gradient flows into them alone.
        teacher_ND: last hidden states of the teacher at the same positions.
        head_VD: the weight of the LM head.
        temperature: of both distributions. The factor T^2 keeps the gradient's size about the same for any T.

    Returns:
        float32 of shape (N,), on the student's device.
    """
    value_N: Tensor = _ForwardKL.apply(student_ND, teacher_ND.detach(), head_VD.detach(), temperature)  # type: ignore[no-untyped-call]
    return value_N


class _ForwardKL(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
        value_N = torch.empty(len(student_ND), dtype=torch.float32, device=student_ND.device)
        gradient_ND = torch.empty_like(student_ND)
        for start in range(0, len(student_ND), CHUNK):
            part = slice(start, start + CHUNK)
            student, student_sum = _logits(student_ND[part], head_VD, temperature)
            teacher, teacher_sum = _logits(teacher_ND[part], head_VD, temperature)
            p_teacher = (teacher - teacher_sum).exp_()
            expected = (teacher.sub_(student).mul_(p_teacher)).sum(-1, keepdim=True)
            value_N[part] = (expected - teacher_sum + student_sum)[:, 0] * temperature**2
            # d/d logits of T^2 KL is T (q - p): the softmax at T gives 1/T of it back.
            difference = student.sub_(student_sum).exp_().sub_(p_teacher).mul_(temperature)
            gradient_ND[part] = (difference.to(head_VD.dtype) @ head_VD).to(gradient_ND.dtype)
        ctx.save_for_backward(gradient_ND)
        return value_N

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient_ND,) = ctx.saved_tensors
        return gradient_ND * outer[0].to(gradient_ND.dtype).unsqueeze(-1), None, None, None


def _logits(hidden_ND: Tensor, head_VD: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Logits at the temperature, in float32, and the logarithm of the sum of their exponentials: (N, V), (N, 1)."""
    logits_NV = (hidden_ND.to(head_VD.dtype) @ head_VD.T).float()
    if temperature != 1:
        logits_NV = logits_NV / temperature
    return logits_NV, logits_NV.logsumexp(-1, keepdim=True)
