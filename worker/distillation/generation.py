"""Greedy answers in process, many prompts at a time, with what the model thought of each token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import GenerationConfig

from worker.distillation.student import Student

ROWS = 64  # prompts decoded side by side


@dataclass(frozen=True, slots=True)
class Answer:
    """A generated answer.

    Attributes:
        tokens: its token ids, the end of the turn last if it came to it.
        logprobs: the model's log-probability of each of them, in nats.
        text: in words.
        is_finished: False if it was cut off.
    """

    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]
    text: str
    is_finished: bool


def greedy(student: Student, prompts: Sequence[Sequence[int]], most_tokens: int) -> list[Answer]:
    """The most likely answer to each prompt, token by token, with the adapter as it is switched. Order is kept."""
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))  # alike lengths: little padding
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), ROWS):
        chosen = order[start : start + ROWS]
        answers.update(zip(chosen, _decode(student, [prompts[index] for index in chosen], most_tokens), strict=True))
    return [answers[index] for index in range(len(prompts))]


@torch.no_grad()
def _decode(student: Student, prompts: Sequence[Sequence[int]], most_tokens: int) -> list[Answer]:
    width = max(len(prompt) for prompt in prompts)
    end = student.renderer.end
    padded = torch.tensor([[end] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    seen = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    config: Any = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=most_tokens,
        do_sample=False,
        eos_token_id=student.end_tokens,
        pad_token_id=end,
        return_dict_in_generate=True,
        output_scores=True,
    )
    model: Any = student.model
    output = model.generate(
        input_ids=padded.to(student.device), attention_mask=seen.to(student.device), generation_config=config
    )
    tokens_RN = output.sequences[:, width:]
    logprobs_RN = torch.stack(
        [
            step.float().log_softmax(-1).gather(-1, token[:, None])[:, 0]
            for step, token in zip(output.scores, tokens_RN.T, strict=True)
        ],
        dim=1,
    )
    return [_answer(student, row, scores) for row, scores in zip(tokens_RN.tolist(), logprobs_RN.tolist(), strict=True)]


def _answer(student: Student, tokens: list[int], logprobs: list[float]) -> Answer:
    ends = [index for index, token in enumerate(tokens) if token in student.end_tokens]
    length = ends[0] + 1 if ends else len(tokens)
    text = student.renderer.tokenizer.decode(tokens[: length - bool(ends)], skip_special_tokens=True)
    return Answer(tuple(tokens[:length]), tuple(logprobs[:length]), text.strip(), bool(ends))
