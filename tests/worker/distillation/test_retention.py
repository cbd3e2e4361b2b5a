"""How many of the shipped prompts a training goes over."""

import pytest

from worker.distillation import reading
from worker.distillation.forms import WORDING_SHARE, WORDINGS
from worker.distillation.retention import PART, PLAIN, TIMES, prompts, prompts_for, training_prompts


def test_a_longer_training_goes_over_more_prompts_in_whole_parts() -> None:
    every = training_prompts()
    assert prompts_for(0) == prompts_for(PART * TIMES) == every[:PART]
    assert prompts_for(PART * TIMES + 1) == every[: 2 * PART]
    assert prompts_for(10**6) == every
    assert len(every) == len(set(every)) > 6 * PART


def test_one_in_five_is_read_from_texts() -> None:
    every, tasks = training_prompts(), reading.tasks()
    for part in range(0, len(every) - PART, PART):
        assert sum(prompt in tasks for prompt in every[part : part + PART]) == PART // (PLAIN + 1)
    assert [prompt for prompt in every if prompt in tasks] == list(tasks[: len(prompts("train")) // PLAIN])


def typed_forms(prompt: str) -> set[str]:
    return {prompt.lower().removesuffix("?"), *(wording.format(prompt) for wording in WORDINGS)}


def test_as_many_are_typed_as_people_type_as_among_the_lessons_and_the_rest_as_they_are() -> None:
    tasks = reading.tasks()
    plain = [prompt for prompt in training_prompts() if prompt not in tasks]
    changed = [(was, now) for was, now in zip(prompts("train"), plain, strict=True) if was != now]
    asked = [prompt for prompt in prompts("train") if prompt.endswith("?")]
    assert len(changed) / len(asked) == pytest.approx(WORDING_SHARE, abs=0.03)
    assert all(now in typed_forms(was) for was, now in changed)
    assert training_prompts(with_texts=False) == tuple(plain)
    assert prompts_for(0, with_texts=False) == tuple(plain[:PART])


def test_what_an_adapter_is_held_to_a_limit_on_is_not_trained_on_nor_what_drift_is_measured_on() -> None:
    assert len(prompts("unseen")) == 32
    assert not set(prompts("unseen")) & {*prompts("train"), *prompts("drift")}
