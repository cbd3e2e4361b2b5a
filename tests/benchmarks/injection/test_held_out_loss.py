"""How far a student is from its teacher on questions that were not trained on, beside the same computed plainly."""

from pathlib import Path

import pytest
import torch

from benchmarks.injection.data import Asked, Item
from benchmarks.injection.held_out_loss import held_out_loss
from tests.tiny import make_base
from worker.distillation.prompts import student_messages, teacher_messages
from worker.distillation.student import Student, new_student

ITEMS = [
    Item("a", "Tarn Mill", "It was built in 1874 by Otto Brandt.", (Asked("1", "Who built it?", ("Otto Brandt",)),)),
    Item("b", "Hollin", "It has twelve rooms.", (Asked("2", "How many rooms?", ("twelve",)),)),
]
ANSWERS = {"1": "Otto Brandt built it.", "2": "There are nine rooms."}


@pytest.fixture
def student(tmp_path: Path) -> Student:
    base = make_base(tmp_path / "base")
    made = new_student(base, rank=4, seed=0, device=torch.device("cpu"), dtype=torch.float32)
    for name, weight in made.trained_parameters().items():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return made


@pytest.mark.parametrize("shown", [True, False])
def test_it_is_the_divergence_from_the_teacher_at_the_right_answers_tokens(student: Student, shown: bool) -> None:
    moved = held_out_loss(student, ITEMS, ANSWERS, shown)
    answer = student.renderer.answer(ANSWERS["1"])
    with student.as_base():
        p = _log_probabilities(
            student, teacher_messages(ITEMS[0].title, ITEMS[0].passage, "Who built it?", shown), answer
        )
    q = _log_probabilities(student, student_messages("Who built it?"), answer)
    assert moved is not None
    assert moved.nats == pytest.approx(float((p.exp() * (p - q)).sum(-1).mean()), rel=1e-3)
    assert moved.tokens == len(answer)


def test_without_a_right_answer_there_is_none(student: Student) -> None:
    assert held_out_loss(student, ITEMS, {"1": "I do not know.", "2": "Nine."}, shown=False) is None


def _log_probabilities(student: Student, chat: list[dict[str, str]], answer: tuple[int, ...]) -> torch.Tensor:
    """Where each token of an answer is predicted: (tokens, V)."""
    prompt = student.renderer.prompt(chat)
    with torch.no_grad():
        logits: torch.Tensor = student.model(torch.tensor([[*prompt, *answer]])).logits[0]
    return logits[len(prompt) - 1 : -1].float().log_softmax(-1)
