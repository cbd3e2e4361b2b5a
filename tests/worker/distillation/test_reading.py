"""The shipped texts and the tasks that are made of them."""

from collections import Counter

from app.demo.questions import read_exam
from app.grading import normalise
from worker.distillation import general, reading
from worker.distillation.prompts import ANSWER_BRIEFLY


def texts_in(task: str) -> list[reading.Text]:
    """The texts that stand in a task, in their order there."""
    return sorted((text for text in reading.texts() if text.text in task), key=lambda text: task.index(text.text))


def test_each_question_is_asked_once_below_its_own_text() -> None:
    asked = [(text, question) for text in reading.texts() for question in text.questions]
    assert len({question for _, question in asked}) == len(asked) == len(reading.tasks()) == 120
    for text, question in asked:
        (task,) = (task for task in reading.tasks() if task.endswith(question))
        assert text.shown in task.split("\n\n")


def test_a_text_has_up_to_two_others_beside_it_before_or_behind() -> None:
    shown = Counter(len(texts_in(task)) for task in reading.tasks())
    assert set(shown) == {1, 2, 3}
    assert min(shown.values()) >= 20
    of_three = [texts_in(task) for task in reading.tasks() if len(texts_in(task)) == 3]
    tasks = [task for task in reading.tasks() if len(texts_in(task)) == 3]
    places = Counter(
        next(place for place, text in enumerate(texts) if any(task.endswith(asked) for asked in text.questions))
        for task, texts in zip(tasks, of_three, strict=True)
    )
    assert set(places) == {0, 1, 2}


def test_half_of_the_tasks_ask_for_a_short_answer_as_the_teacher_is_asked_and_half_just_ask() -> None:
    assert [ANSWER_BRIEFLY in task for task in reading.tasks()] == [False, True] * 60


def test_the_texts_tell_nothing_that_the_demo_or_the_general_questions_ask_for() -> None:
    told = f" {normalise(' '.join(f'{text.title} {text.text}' for text in reading.texts()))} "
    exam = read_exam(None, None)
    in_demo = {word for each in exam.questions for word in each.accepted if not word.isdigit()}
    assert len(in_demo) >= 12
    assert {word for word in in_demo if f" {normalise(word)} " in told} == set()
    asked = [*(each.question for each in exam.general), *(each.question for each in general.questions())]
    assert {question for question in asked if question in " ".join(reading.tasks())} == set()
