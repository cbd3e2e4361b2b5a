"""Greedy answers, many at a time, are what plain passes over each prompt alone would say."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, Qwen2Config, Qwen2ForCausalLM

from tests.tiny import make_base
from worker.distillation.generation import ROWS, Answer, answers_to, greedy
from worker.distillation.student import Student, new_student


@torch.inference_mode()
def alone(student: Student, prompt: list[int], most_tokens: int) -> tuple[list[int], list[float]]:
    """The likeliest continuation up to an end, one whole pass a token, and the log-probability of each."""
    tokens = list(prompt)
    logprobs: list[float] = []
    while len(logprobs) < most_tokens and (not logprobs or tokens[-1] not in student.end_tokens):
        logprob, token = student.model(input_ids=torch.tensor([tokens])).logits[0, -1].log_softmax(-1).max(-1)
        tokens.append(int(token))
        logprobs.append(float(logprob))
    return tokens[len(prompt) :], logprobs


def assert_is(answer: Answer, expected: tuple[list[int], list[float]], student: Student) -> None:
    assert list(answer.tokens) == expected[0]
    assert answer.logprobs == pytest.approx(expected[1], abs=1e-3)
    assert answer.is_finished == (expected[0][-1] in student.end_tokens)


@pytest.fixture
def changed(student: Student) -> Student:
    """A student whose adapter changes something."""
    torch.manual_seed(1)
    for name, weight in student.trained_parameters().items():
        if "lora_B" in name:
            weight.data.normal_(std=0.2)
    return student


def made_prompts(many: int, beginning: int) -> list[list[int]]:
    chance = random.Random(beginning)
    start = [chance.randrange(5, 200) for _ in range(beginning)]
    return [start + [chance.randrange(5, 200) for _ in range(chance.randrange(1, 9))] for _ in range(many)]


@pytest.mark.parametrize("beginning", [0, 7])
def test_rows_that_end_at_different_times_say_what_each_says_alone(changed: Student, beginning: int) -> None:
    prompts = made_prompts(ROWS + 3, beginning)
    changed.end_tokens = [greedy(changed, prompts[:1], 3)[0].tokens[2]]  # a token that some rows say early
    answers = greedy(changed, prompts, 6)
    assert len({len(answer.tokens) for answer in answers}) > 1
    assert {answer.is_finished for answer in answers} == {True, False}
    for prompt, answer in zip(prompts, answers, strict=True):
        assert_is(answer, alone(changed, prompt, 6), changed)


def test_equal_prompts_and_one_that_another_begins_with(changed: Student) -> None:
    prompts = [[9, 8, 7], [9, 8, 7], [9, 8, 7, 6, 5], [9]]
    for prompt, answer in zip(prompts, greedy(changed, prompts, 4), strict=True):
        assert_is(answer, alone(changed, prompt, 4), changed)


def test_the_base_model_answers_where_the_adapter_is_off(changed: Student) -> None:
    prompts = made_prompts(3, 4)
    taught = greedy(changed, prompts, 5)
    with changed.as_base():
        base = greedy(changed, prompts, 5)
        for prompt, answer in zip(prompts, base, strict=True):
            assert_is(answer, alone(changed, prompt, 5), changed)
    assert base != taught


def test_an_ended_answer_is_told_without_its_end(changed: Student) -> None:
    (whole,) = greedy(changed, [[9, 8, 7]], 4)
    changed.end_tokens = [whole.tokens[-1]]
    (ended,) = greedy(changed, [[9, 8, 7]], 9)
    assert ended.is_finished
    assert ended.tokens == whole.tokens
    assert ended.text == changed.renderer.tokenizer.decode(ended.tokens[:-1], skip_special_tokens=True).strip()


def test_nothing_asked_is_nothing_answered(student: Student) -> None:
    assert greedy(student, [], 5) == []


def test_questions_are_put_as_a_client_puts_them(changed: Student) -> None:
    questions = ["What is the capital of France?", "Why?"]
    prompts = [changed.renderer.prompt([{"role": "user", "content": question}]) for question in questions]
    assert answers_to(changed, questions, 4) == greedy(changed, prompts, 4)


def test_what_the_model_would_add_to_generation_is_not_added(changed: Student) -> None:
    base: Any = changed.model.get_base_model()
    base.generation_config.repetition_penalty = 1.5
    (prompt,) = made_prompts(1, 4)
    (answer,) = greedy(changed, [prompt], 8)
    assert_is(answer, alone(changed, prompt, 8), changed)


def test_a_sliding_window_sees_as_far_in_a_batch_as_alone(tmp_path: Path) -> None:
    base = make_base(tmp_path / "base")
    config = Qwen2Config(
        vocab_size=AutoConfig.from_pretrained(base).vocab_size,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        use_sliding_window=True,
        sliding_window=12,
        max_window_layers=1,
        initializer_range=0.2,
        eos_token_id=0,
    )
    Qwen2ForCausalLM(config).save_pretrained(base)
    student = new_student(base, 4, 0, torch.device("cpu"), torch.float32)
    assert student.window == 12
    beginning = list(range(10, 20))
    prompts = [[*beginning, 30], [*beginning, *range(40, 58)]]
    for prompt, answer in zip(prompts, greedy(student, prompts, 5), strict=True):
        assert_is(answer, alone(student, prompt, 5), student)
