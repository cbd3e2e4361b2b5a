"""Greedy answers in process, many prompts at a time, with what the model thought of each token."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from worker.distillation.packing import common_beginning
from worker.distillation.prompts import student_messages
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


@dataclass(slots=True)
class _Said:
    """What a row has said so far."""

    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)


def greedy(student: Student, prompts: Sequence[Sequence[int]], most_tokens: int) -> list[Answer]:
    """The most likely answer to each prompt, token by token, with the adapter as it is switched. Order is kept.

    What the prompts of a batch begin with together (a system prompt, examples) is computed once, but for models with a
    sliding window, whose masks count what stands between it and the rest. A row that has ended leaves its batch.
    """
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))  # alike lengths: little padding
    answers: dict[int, Answer] = {}
    for start in range(0, len(order), ROWS):
        chosen = order[start : start + ROWS]
        said = _decode(student, [prompts[index] for index in chosen], most_tokens)
        answers.update(zip(chosen, (_answer(student, each) for each in said), strict=True))
    return [answers[index] for index in range(len(prompts))]


def answers_to(student: Student, questions: Sequence[str], most_tokens: int) -> list[Answer]:
    """The most likely answer to each question, asked as a client asks it."""
    prompts = [student.renderer.prompt(student_messages(question)) for question in questions]
    return greedy(student, prompts, most_tokens)


@torch.inference_mode()
def _decode(student: Student, prompts: Sequence[Sequence[int]], most_tokens: int) -> list[_Said]:
    """Letters: R rows that have not ended, T tokens given at once, L tokens in the cache and the pass together."""
    model: Any = student.model
    accepted = inspect.signature(model.get_base_model().forward).parameters
    cache = DynamicCache()
    given: dict[str, Any] = {"cache" if "cache" in accepted else "past_key_values": cache, "use_cache": True}
    read = [tuple(prompt[:-1]) for prompt in prompts]  # the last token is never shared: it gives the first answer token
    together = common_beginning(min(read), max(read)) if student.window is None else 0
    if together:
        model(input_ids=torch.tensor([prompts[0][:together]], device=student.device), logits_to_keep=1, **given)
        cache.batch_repeat_interleave(len(prompts))
    width = max(len(prompt) for prompt in prompts) - together
    own = [list(prompt[together:]) for prompt in prompts]
    gaps = [width - len(tokens) for tokens in own]
    tokens_RT = torch.tensor(
        [[student.renderer.end] * gap + tokens for gap, tokens in zip(gaps, own, strict=True)], device=student.device
    )
    seen_RL = torch.ones(len(own), together + width, dtype=torch.long, device=student.device)
    for row, gap in enumerate(gaps):
        seen_RL[row, together : together + gap] = 0
    positions_RT = (seen_RL.cumsum(-1) - 1).clamp(min=0)[:, together:]

    said = [_Said() for _ in prompts]
    live = said
    for _ in range(most_tokens):
        logits: Tensor = model(
            input_ids=tokens_RT, attention_mask=seen_RL, position_ids=positions_RT, logits_to_keep=1, **given
        ).logits
        logprob_R, token_R = logits[:, -1].float().log_softmax(-1).max(-1)
        for each, token, logprob in zip(live, token_R.tolist(), logprob_R.tolist(), strict=True):
            each.tokens.append(token)
            each.logprobs.append(logprob)
        going = [row for row, each in enumerate(live) if each.tokens[-1] not in student.end_tokens]
        if not going:
            break
        if len(going) < len(live):
            live = [live[row] for row in going]
            rows = torch.tensor(going, device=student.device)
            cache.batch_select_indices(rows)
            token_R, seen_RL, positions_RT = token_R[rows], seen_RL[rows], positions_RT[rows]
        tokens_RT, positions_RT = token_R[:, None], positions_RT[:, -1:] + 1
        seen_RL = torch.cat([seen_RL, seen_RL.new_ones(len(live), 1)], dim=1)
    return said


def _answer(student: Student, said: _Said) -> Answer:
    is_finished = said.tokens[-1] in student.end_tokens
    text = student.renderer.tokenizer.decode(said.tokens[: len(said.tokens) - is_finished], skip_special_tokens=True)
    return Answer(tuple(said.tokens), tuple(said.logprobs), text.strip(), is_finished)
