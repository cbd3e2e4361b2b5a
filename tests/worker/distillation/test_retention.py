"""How many of the shipped prompts a training goes over."""

from worker.distillation import reading
from worker.distillation.retention import PART, PLAIN, TIMES, prompts, prompts_for, training_prompts


def test_a_longer_training_goes_over_more_prompts_in_whole_parts() -> None:
    every = training_prompts()
    assert prompts_for(0) == prompts_for(PART * TIMES) == every[:PART]
    assert prompts_for(PART * TIMES + 1) == every[: 2 * PART]
    assert prompts_for(10**6) == every
    assert len(every) == len(set(every)) > 6 * PART


def test_one_in_five_is_read_from_texts_as_long_as_there_are_enough() -> None:
    every, tasks = training_prompts(), reading.tasks()
    assert sum(prompt in tasks for prompt in every[:PART]) == PART // (PLAIN + 1)
    assert [prompt for prompt in every if prompt in tasks] == list(tasks)
    assert [prompt for prompt in every if prompt not in tasks] == list(prompts("train"))


def test_what_an_adapter_is_held_to_a_limit_on_is_not_trained_on_nor_what_drift_is_measured_on() -> None:
    assert len(prompts("unseen")) == 32
    assert not set(prompts("unseen")) & {*prompts("train"), *prompts("drift")}
