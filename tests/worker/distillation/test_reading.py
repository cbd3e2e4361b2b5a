"""The shipped texts and the tasks that are made of them."""

import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest

from app.demo.questions import read_exam
from app.grading import normalise
from worker.distillation import prompts, reading
from worker.distillation.prompts import ANSWER_BRIEFLY

ROOT = Path(__file__).parents[3]


def texts_in(task: str) -> list[reading.Text]:
    """The texts that stand in a task, in their order there."""
    return sorted((text for text in reading.texts() if text.text in task), key=lambda text: task.index(text.text))


def asked_in(task: str) -> reading.Text:
    """The text that a task asks about."""
    (text,) = (text for text in texts_in(task) if any(task.endswith(question) for question in text.questions))
    return text


def test_each_question_is_asked_once_below_its_own_text() -> None:
    asked = [(text, question) for text in reading.texts() for question in text.questions]
    assert len({question for _, question in asked}) == len(asked) == len(reading.tasks())
    for text, question in asked:
        (task,) = (task for task in reading.tasks() if task.endswith(question))
        assert text.shown in task.split("\n\n")


@pytest.mark.parametrize("tasks", [reading.tasks()[:20], reading.tasks()], ids=["a short training's", "all"])
def test_any_beginning_has_all_kinds(tasks: tuple[str, ...]) -> None:
    shown = Counter(len(texts_in(task)) for task in tasks)
    assert set(shown) == {1, 2, 3}
    assert min(shown.values()) >= len(tasks) / 6
    assert sum(ANSWER_BRIEFLY in task for task in tasks) == len(tasks) / 2
    assert {task.endswith("?") for task in tasks} == {True, False}
    assert {texts_in(task).index(asked_in(task)) for task in tasks} == {0, 1, 2}


def test_a_text_has_the_other_one_on_its_subject_beside_it() -> None:
    titles = Counter(text.title for text in reading.texts() if text.title)
    twice = {title for title, times in titles.items() if times == 2}
    assert len(twice) >= 15
    assert set(titles.values()) == {1, 2}
    beside = [task for task in reading.tasks() if asked_in(task).title in twice and len(texts_in(task)) > 1]
    assert len(beside) > 50
    for task in beside:
        assert [text.title for text in texts_in(task)].count(asked_in(task).title) == 2


def test_no_name_in_the_texts_is_one_of_what_the_project_shows_or_measures_itself_on() -> None:
    told = " ".join(f"{text.title} {text.text}" for text in reading.texts())
    names = set(re.findall(r"(?<=[a-z,] )[A-Z][a-z]{3,}", told)) - {"Each", "Monday", "October", "Ferry", "Clock"}
    assert len(names) > 100
    exam = read_exam(None, None)
    others = {
        "demo": exam.document,
        "README": (ROOT / "README.md").read_text(encoding="utf-8"),
        "benchmarks": (ROOT / "benchmarks" / "data" / "invented.jsonl").read_text(encoding="utf-8"),
        "examples": str(prompts.EXAMPLES),
    }
    shared = {where: {name for name in names if re.search(rf"\b{name}\b", text)} for where, text in others.items()}
    assert shared == {where: set() for where in others}
    answers = {normalise(word) for each in exam.questions for word in each.accepted if not word.isdigit()}
    assert len(answers) >= 12
    assert {word for word in answers if f" {word} " in f" {normalise(told)} "} == set()


def test_the_texts_ship_with_the_package() -> None:
    assert files("worker.distillation").joinpath("reading_tasks.json").is_file()
