"""What an adapter learnt of questions that it was not trained on, as a figure that two or three answers do not move.

It compares adapters that were to come as near to the same teacher; one of a surer teacher is to be surer than this one.
"""

from collections.abc import Mapping, Sequence

from benchmarks.injection.data import Item
from benchmarks.injection.grading import grade
from benchmarks.injection.run import Made, Plan, load_trained, shows_examples
from worker.distillation import drift, teacher
from worker.distillation.drift import Drift
from worker.distillation.prompts import student_messages, teacher_messages
from worker.distillation.retention import Kept
from worker.distillation.student import Student


def held_out_loss(student: Student, items: Sequence[Item], answers: Mapping[str, str], shown: bool) -> Drift | None:
    """How far the student, closed-book, is from the base model that reads the right passage, on the data's questions.

    Args:
        student: with its adapter on.
        items: the passages with their questions.
        answers: the oracle's, by the questions' ids; it is measured at the tokens of those that are right.
        shown: whether the teacher is shown examples of answers.

    Returns:
        What `drift.measure` gives, with the base model that reads the right passage in place of the base model; None
        if no answer is right.
    """
    render = student.renderer
    right = [
        (teacher_messages(item.title, item.passage, asked.question, shown), asked.question, answers[asked.id])
        for item in items
        for asked in item.questions
        if grade(answers[asked.id], asked.answers).holds
    ]
    wanted = teacher.targets(student, [render.exchange(chat, answer) for chat, _, answer in right])
    closed = [
        Kept(question, answer, True, render.exchange(student_messages(question), answer), target)
        for (_, question, answer), target in zip(right, wanted, strict=True)
    ]
    return drift.measure(student, closed) if closed else None


def mean_held_out_loss(plan: Plan, made: Sequence[Made]) -> float | None:
    """Of the adapters that `pd` answers with, one a seed, in nats a token; None where the oracle has nothing right."""
    losses = [
        held_out_loss(
            load_trained(plan, seed, plan.ways["pd"]), plan.items, each.answers["oracle"], shows_examples(plan)
        )
        for seed, each in enumerate(made)
    ]
    known = [each.nats for each in losses if each]
    return sum(known) / len(known) if known else None
