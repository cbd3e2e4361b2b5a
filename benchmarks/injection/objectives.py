"""Other losses than the method's own, to compare it with: all over the whole vocabulary, some positions at a time.

Each is an `Objective` of `worker.distillation.training`. Letters: N answer positions, D hidden size, V vocabulary.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from worker.distillation.loss import CHUNK, forward_kl

Rule = Callable[[Tensor, Tensor, float], Tensor]
"""(N, V) log-probabilities of the student at the temperature; the target; the temperature -> (N,) losses."""


def cross_entropy(student_ND: Tensor, tokens_N: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    """-log p(token), in nats, at temperature 1 whatever is asked: what supervised fine-tuning minimises."""
    del temperature
    return _by_chunks(
        student_ND, tokens_N, head_VD, 1.0, lambda log_q, token_N, _: -log_q.gather(-1, token_N[:, None])[:, 0]
    )


def reverse_kl(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    """KL(student || teacher) at the temperature, times its square."""

    def rule(log_q: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        log_p = _log_softmax(teacher, head_VD, temperature)
        return (log_q.exp() * (log_q - log_p)).sum(-1) * temperature**2

    return _by_chunks(student_ND, teacher_ND, head_VD, temperature, rule)


def half_reversed(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    """The mean of the forward and the reverse KL."""
    forward = forward_kl(student_ND, teacher_ND, head_VD, temperature)
    return (forward + reverse_kl(student_ND, teacher_ND, head_VD, temperature)) / 2


def jensen_shannon(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    """The Jensen-Shannon divergence at the temperature, times its square, and times 4 to be as steep as a KL.

    Near its minimum JSD(p, q) is KL(p || q) / 4, so with the factor one learning rate suits both.
    """

    def rule(log_q: Tensor, teacher: Tensor, temperature: float) -> Tensor:
        log_p = _log_softmax(teacher, head_VD, temperature)
        log_m = torch.logaddexp(log_p, log_q) - torch.log(torch.tensor(2.0))
        both = log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)
        return 2 * both.sum(-1) * temperature**2

    return _by_chunks(student_ND, teacher_ND, head_VD, temperature, rule)


def hidden_states(weight: float) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """Forward KL, and `weight` times the last hidden states' squared distance, as a share of the teacher's square.

    A short form of deep context distillation (arXiv 2503.08727), which matches the hidden states of every layer.
    For a teacher at its own temperature (teacher_temperature 1): at another one its states would be scaled.
    """

    def objective(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
        student, teacher = student_ND.float(), teacher_ND.float()
        apart = (student - teacher).square().sum(-1) / teacher.square().sum(-1)
        return forward_kl(student_ND, teacher_ND, head_VD, temperature) + weight * apart

    return objective


def top_k(most: int) -> Callable[[Tensor, Tensor, Tensor, float], Tensor]:
    """Forward KL at the temperature, times its square, on the teacher's `most` likeliest tokens, all others as one."""

    def objective(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
        def rule(log_q: Tensor, teacher: Tensor, temperature: float) -> Tensor:
            log_p = _log_softmax(teacher, head_VD, temperature)
            best, places = log_p.topk(most)
            said = log_q.gather(-1, places)
            rest_p, rest_q = (_rest(part) for part in (best, said))
            value = (best.exp() * (best - said)).sum(-1) + rest_p.exp() * (rest_p - rest_q)
            return value * temperature**2

        return _by_chunks(student_ND, teacher_ND, head_VD, temperature, rule)

    return objective


def _rest(log_p: Tensor) -> Tensor:
    """The logarithm of what some probabilities leave."""
    return torch.log((1 - log_p.exp().sum(-1)).clamp_min(1e-6))


def _log_softmax(hidden_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    return ((hidden_ND.to(head_VD.dtype) @ head_VD.T).float() / temperature).log_softmax(-1)


def _by_chunks(student_ND: Tensor, target: Tensor, head_VD: Tensor, temperature: float, rule: Rule) -> Tensor:
    value_N: Tensor = _ByChunks.apply(student_ND, target, head_VD, temperature, rule)  # type: ignore[no-untyped-call]
    return value_N


class _ByChunks(torch.autograd.Function):
    """The value and its gradient together, so that no (N, V) matrix outlives its chunk."""

    @staticmethod
    def forward(
        ctx: Any, student_ND: Tensor, target: Tensor, head_VD: Tensor, temperature: float, rule: Rule
    ) -> Tensor:
        value_N = torch.empty(len(student_ND), dtype=torch.float32, device=student_ND.device)
        gradient_ND = torch.empty_like(student_ND)
        for start in range(0, len(student_ND), CHUNK):
            part = slice(start, start + CHUNK)
            hidden = student_ND[part].detach().requires_grad_()
            with torch.enable_grad():
                values = rule(_log_softmax(hidden, head_VD, temperature), target[part], temperature)
                (gradient_ND[part],) = torch.autograd.grad(values.sum(), hidden)
            value_N[part] = values.detach()
        ctx.save_for_backward(gradient_ND)
        return value_N

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None, None, None, None]:
        (gradient_ND,) = ctx.saved_tensors
        return gradient_ND * outer[0].to(gradient_ND.dtype).unsqueeze(-1), None, None, None, None
