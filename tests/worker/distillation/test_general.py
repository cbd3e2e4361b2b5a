"""The general questions: many, different from each other, right as they stand, and unknown to training."""

from itertools import combinations

import pytest

from app.demo.questions import read_exam
from app.grading import is_right, normalise
from worker.distillation import general, reading, retention

ALIKE = 0.6  # share of two questions' telling words that they have in common, from which they ask the same
LITTLE_WORDS = frozenset(
    (
        *("a", "an", "and", "are", "at", "by", "called", "can", "did", "do", "does", "for", "from", "has", "have"),
        *("how", "i", "in", "is", "it", "many", "most", "much", "name", "of", "on", "or", "the", "there", "they"),
        *("this", "to", "use", "used", "was", "we", "were", "what", "when", "where", "which", "who", "with", "you"),
        *("your",),
    )
)


def telling_words(question: str) -> frozenset[str]:
    return frozenset(normalise(question).split()) - LITTLE_WORDS


def alike(one: str, other: str) -> float:
    first, second = telling_words(one), telling_words(other)
    return len(first & second) / max(1, len(first | second))


def test_there_are_200_and_no_two_ask_the_same() -> None:
    asked = [each.question for each in general.questions()]
    assert len(asked) == 200
    assert [pair for pair in combinations(asked, 2) if alike(*pair) >= ALIKE] == []


@pytest.mark.parametrize("purpose", ["train", "unseen", "drift"])
def test_none_is_a_retention_prompt_or_near_to_one(purpose: str) -> None:
    kept = retention.prompts(purpose)
    asked = [each.question for each in general.questions()]
    assert [(one, other) for one in asked for other in kept if alike(one, other) >= ALIKE] == []


def test_none_is_near_to_a_question_on_a_text_to_read() -> None:
    exam = read_exam(None, None)
    others = [each.question for each in general.questions()]
    others += [each.question for each in (*exam.questions, *exam.general)] + [*retention.prompts("drift")]
    asked = [question for text in reading.texts() for question in text.questions]
    assert [(one, other) for one in asked for other in others if alike(one, other) >= ALIKE] == []


def test_no_training_prompt_tells_an_answer_beside_what_is_asked() -> None:
    told = [
        (prompt, each.question)
        for each in general.questions()
        for prompt in retention.prompts("train")
        if is_right(prompt, [word for word in each.accepted if not word.isdigit()])
        and alike(prompt, each.question) >= 0.2
    ]
    assert told == []


def test_no_training_prompt_is_near_to_one_that_drift_is_measured_on() -> None:
    near = [
        (one, other)
        for one in retention.prompts("train")
        for other in retention.prompts("drift")
        if alike(one, other) > ALIKE
    ]
    assert near == []


def test_another_wording_of_a_training_prompt_would_be_found() -> None:
    assert alike("Which city is the capital of Japan?", "What is the capital of Japan?") >= ALIKE
    assert alike("What is the capital of Kenya?", "What is the capital of Japan?") < ALIKE


def test_none_is_in_the_demo() -> None:
    exam = read_exam(None, None)
    in_demo = {each.question for each in (*exam.questions, *exam.general)}
    assert not in_demo & {each.question for each in general.questions()}


def test_each_accepted_answer_is_right_and_an_echo_of_the_question_is_not() -> None:
    for each in general.questions():
        assert each.question.endswith("?"), each
        assert each.accepted, each
        assert all(is_right(f"The answer is {keyword}.", [keyword]) for keyword in each.accepted), each
        assert not is_right(each.question, each.accepted), each
