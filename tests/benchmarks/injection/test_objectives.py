"""The losses against plain ones in float64, values and gradients, over more positions than one chunk."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from benchmarks.injection.objectives import (
    cross_entropy,
    half_reversed,
    hidden_states,
    jensen_shannon,
    reverse_kl,
    top_k,
)
from worker.distillation.loss import CHUNK, forward_kl
from worker.distillation.training import Objective

N, D, V = CHUNK + 5, 6, 40
TEMPERATURE = 2.0


def log_p(hidden: Tensor, head: Tensor, temperature: float = TEMPERATURE) -> Tensor:
    return (hidden @ head.T / temperature).log_softmax(-1)


def plain_cross_entropy(student: Tensor, tokens: Tensor, head: Tensor) -> Tensor:
    return torch.nn.functional.cross_entropy(student @ head.T, tokens, reduction="none")


def plain_reverse_kl(student: Tensor, teacher: Tensor, head: Tensor) -> Tensor:
    q, p = log_p(student, head), log_p(teacher, head)
    return torch.nn.functional.kl_div(p, q, log_target=True, reduction="none").sum(-1) * TEMPERATURE**2


def plain_half_reversed(student: Tensor, teacher: Tensor, head: Tensor) -> Tensor:
    return (plain_reverse_kl(student, teacher, head) + plain_reverse_kl(teacher, student, head)) / 2


def plain_jensen_shannon(student: Tensor, teacher: Tensor, head: Tensor) -> Tensor:
    q, p = log_p(student, head).exp(), log_p(teacher, head).exp()
    m = (p + q) / 2
    return 4 * 0.5 * ((p * (p / m).log()).sum(-1) + (q * (q / m).log()).sum(-1)) * TEMPERATURE**2


def plain_top_3(student: Tensor, teacher: Tensor, head: Tensor) -> Tensor:
    q, p = log_p(student, head).exp(), log_p(teacher, head).exp()
    values = []
    for q_V, p_V in zip(q, p, strict=True):
        best = p_V.topk(3).indices
        shares = [(p_V[place], q_V[place]) for place in best] + [(1 - p_V[best].sum(), 1 - q_V[best].sum())]
        values.append(sum((a * (a / b).log() for a, b in shares), torch.zeros((), dtype=torch.float64)))
    return torch.stack(values) * TEMPERATURE**2


def plain_hidden(student: Tensor, teacher: Tensor, head: Tensor) -> Tensor:
    apart: Tensor = (student - teacher).norm(dim=-1) / teacher.norm(dim=-1)
    return plain_reverse_kl(teacher, student, head) + 0.5 * apart**2


@pytest.mark.parametrize(
    ("objective", "plain", "has_tokens"),
    [
        (cross_entropy, plain_cross_entropy, True),
        (reverse_kl, plain_reverse_kl, False),
        (half_reversed, plain_half_reversed, False),
        (jensen_shannon, plain_jensen_shannon, False),
        (top_k(3), plain_top_3, False),
        (hidden_states(0.5), plain_hidden, False),
    ],
)
def test_values_and_gradients_are_those_of_the_plain_loss(
    objective: Objective, plain: Callable[[Tensor, Tensor, Tensor], Tensor], has_tokens: bool
) -> None:
    torch.manual_seed(0)
    student, teacher, head = torch.randn(N, D), torch.randn(N, D), torch.randn(V, D)
    target = torch.randint(V, (N,)) if has_tokens else teacher
    student.requires_grad_()
    values = objective(student, target, head, TEMPERATURE)
    (gradient,) = torch.autograd.grad(values.mean(), student)
    exact = student.detach().double().requires_grad_()
    wanted = plain(exact, target if has_tokens else target.double(), head.double())
    (wanted_gradient,) = torch.autograd.grad(wanted.mean(), exact)
    torch.testing.assert_close(values.double(), wanted, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(gradient.double(), wanted_gradient, rtol=1e-3, atol=1e-5)


def test_jensen_shannon_is_as_steep_as_a_kl_near_its_minimum() -> None:
    torch.manual_seed(0)
    teacher, head = torch.randn(N, D), torch.randn(V, D)
    near = teacher + 0.01 * torch.randn(N, D)
    ratio = jensen_shannon(near, teacher, head, 1.0).mean() / forward_kl(near, teacher, head).mean()
    assert ratio.item() == pytest.approx(1.0, abs=0.05)
