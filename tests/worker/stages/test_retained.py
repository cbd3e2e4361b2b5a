"""What of the general questions is still right, on a tiny base model whose answers make no sense but repeat."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from app.grading import normalise
from worker.distillation import general
from worker.distillation.general import Question
from worker.distillation.generation import answers_to
from worker.distillation.student import Student, new_student
from worker.stages import StageInputs, retained


def fresh(base: Path) -> Student:
    return new_student(base, rank=4, seed=0, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture
def ask_for(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts questions in the place of those that ship, the accepted answer of each taken from what was said."""

    def ask(said: list[str]) -> None:
        shipped = general.questions()
        made = tuple(Question(each.question, (normalise(text),)) for each, text in zip(shipped, said, strict=False))
        monkeypatch.setattr(general, "questions", lambda: made)

    return ask


def said_by(student: Student, many: int, as_base: bool) -> list[str]:
    questions = [each.question for each in general.questions()[:many]]
    with student.as_base() if as_base else nullcontext():
        return [answer.text for answer in answers_to(student, questions, general.ANSWER_TOKENS)]


def test_an_adapter_that_changes_nothing_has_lost_nothing(tiny_base: Path, idle_inputs: StageInputs) -> None:
    student, told = fresh(tiny_base), list[int]()
    found = retained.measure(student, idle_inputs, told.append)
    assert told == [1, 2, 3]
    assert found["prompts"] == 200
    assert (found["base_right"], found["base_accuracy"]) == (found["adapter_right"], found["adapter_accuracy"])
    assert (found["lost_points"], found["lost"]) == (0, [])
    assert found["drift"]["nats"] == pytest.approx(0, abs=1e-5)
    assert found["drift"]["same_first_choice"] == 1


def test_what_the_base_model_has_right_and_the_adapter_wrong_is_lost(
    idle_inputs: StageInputs, changed: Student, ask_for: Callable[..., None]
) -> None:
    base, adapter = said_by(changed, 8, as_base=True), said_by(changed, 8, as_base=False)
    ask_for([*base[:6], *adapter[6:]])
    found = retained.measure(changed, idle_inputs, lambda _: None)
    assert (found["prompts"], found["base_right"], found["adapter_right"]) == (8, 6, 2)
    assert (found["base_accuracy"], found["adapter_accuracy"], found["lost_points"]) == (0.75, 0.25, 50)
    asked = [each.question for each in general.questions()]
    assert found["lost"] == [
        {"question": asked[index], "base": base[index], "adapter": adapter[index]} for index in range(6)
    ]
    assert found["drift"]["nats"] > 0
    assert found["drift"]["tokens"] >= found["drift"]["prompts"] > 20
