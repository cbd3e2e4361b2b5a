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
            student = _log_probabilities(student_ND[part], head_VD, temperature)
            teacher = _log_probabilities(teacher_ND[part], head_VD, temperature)
            p_teacher = teacher.exp()
            # What the teacher rules out adds nothing, whatever the student thinks of it: 0 times -inf is not 0.
            terms = torch.where(p_teacher > 0, p_teacher * (teacher - student), 0.0)
            value_N[part] = terms.sum(-1) * temperature**2
            # d/d logits of T^2 KL is T (q - p): the softmax at T gives 1/T of it back.
            difference = student.exp_().sub_(p_teacher).mul_(temperature)
            gradient_ND[part] = (difference.to(head_VD.dtype) @ head_VD).to(gradient_ND.dtype)
        ctx.save_for_backward(gradient_ND)
        return value_N

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient_ND,) = ctx.saved_tensors
        return gradient_ND * outer[0].to(gradient_ND.dtype).unsqueeze(-1), None, None, None


def _log_probabilities(hidden_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    logits_NV = (hidden_ND.to(head_VD.dtype) @ head_VD.T).float()
    return torch.log_softmax(logits_NV / temperature, dim=-1)
