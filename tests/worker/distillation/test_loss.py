"""The loss against a plain float64 reference, value and gradient."""

import pytest
import torch
from torch import Tensor

from worker.distillation import loss
from worker.distillation.loss import forward_kl

N, D, V = 37, 16, 101


def reference(student_ND: Tensor, teacher_ND: Tensor, head_VD: Tensor, temperature: float) -> Tensor:
    """The formula word by word: sum over v of p_teacher (log p_teacher - log p_student), times T^2."""
    log_p = torch.log_softmax(teacher_ND @ head_VD.T / temperature, -1)
    log_q = torch.log_softmax(student_ND @ head_VD.T / temperature, -1)
    return (log_p.exp() * (log_p - log_q)).sum(-1) * temperature**2


def hidden(scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(N, D, generator=generator, dtype=torch.float64) * scale for _ in range(2))
    return student, teacher, torch.randn(V, D, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 8, 37, 1000])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_value_and_gradient_are_those_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, temperature: float, chunk: int
) -> None:
    monkeypatch.setattr(loss, "CHUNK", chunk)
    student, teacher, head = hidden()
    weights = torch.linspace(0.1, 2.0, N, dtype=torch.float64)  # every position with a weight of its own
    exact_in = student.clone().requires_grad_()
    exact = reference(exact_in, teacher, head, temperature)
    (exact * weights).sum().backward()  # type: ignore[no-untyped-call]
    ours_in = student.float().requires_grad_()
    ours = forward_kl(ours_in, teacher.float(), head.float(), temperature)
    (ours * weights.float()).sum().backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-5)
    assert ours_in.grad is not None
    assert exact_in.grad is not None
    torch.testing.assert_close(ours_in.grad.double(), exact_in.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-6, 1e2, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_logits_stay_finite_and_no_divergence_is_negative(scale: float, dtype: torch.dtype) -> None:
    student, teacher, head = (part.to(dtype) for part in hidden(scale))
    student.requires_grad_()
    values = forward_kl(student, teacher, head, 1.0)
    values.sum().backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert torch.isfinite(values).all()
    assert torch.isfinite(student.grad).all()
    assert (values >= -1e-5).all()


def test_equal_distributions_have_no_divergence_and_no_gradient() -> None:
    student, _, head = (part.float() for part in hidden())
    student.requires_grad_()
    values = forward_kl(student, student.detach().clone(), head, 2.0)
    values.sum().backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert values.abs().max() == 0
    assert student.grad.abs().max() == 0


def test_the_gradient_flows_into_the_student_alone() -> None:
    student, teacher, head = (part.float().requires_grad_() for part in hidden())
    forward_kl(student, teacher, head, 1.0).sum().backward()  # type: ignore[no-untyped-call]
    assert student.grad is not None
    assert teacher.grad is None
    assert head.grad is None
