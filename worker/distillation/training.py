"""The training: pairs with their teacher's targets, what must be kept with the base model's, and the loop over both.

Repeatable: order and forms follow from the seed and the step alone, so that a run which goes on from a checkpoint
ends with the very adapter that it would have ended with. Checkpoints are safetensors, renamed into place.
"""

import json
import logging
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from worker.distillation import reading
from worker.distillation.forms import asked
from worker.distillation.loss import forward_kl
from worker.distillation.packing import Exchange, pack
from worker.distillation.rehearsal import Rehearsal
from worker.distillation.retention import Kept
from worker.distillation.student import Student

WARM_UP = 0.06  # share of the steps in which the learning rate rises
FINAL_RATE = 0.1  # share of the peak learning rate at the end
CLIP = 1.0
CHECKPOINT_STEPS = 40

logger = logging.getLogger(__name__)


class TrainingFailed(RuntimeError):
    """The training cannot go on: its loss is not a number."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """A question, the tokens of an answer to it, and what the teacher wants there: (answer tokens, D).

    What the target is, is up to the objective; for `forward_kl` it is the teacher's last hidden states,
    divided by its temperature.
    """

    question: str
    answer: tuple[int, ...]
    target: Tensor


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train.

    `name` tells runs apart: a checkpoint of another name is not used. Lessons that are not `shuffled` keep their order
    in each epoch, and each batch takes them from all over it.
    """

    learning_rate: float
    epochs: int
    batch_size: int
    temperature: float
    retention_weight: float
    retention_batch: int
    seed: int
    name: str = ""
    shuffled: bool = True
    rehearsal: Rehearsal = field(default_factory=Rehearsal)


@dataclass(slots=True)
class History:
    """The losses of each step, in nats a token: (step, distil, retention)."""

    losses: list[tuple[int, float, float]] = field(default_factory=list)


Objective = Callable[[Tensor, Tensor, Tensor, float], Tensor]
"""The loss of each answer token, as `forward_kl` has it: of the student's last hidden states (N, D), the lessons'
targets one after the other (N, …), the LM head (V, D) and the temperature."""


def steps_of(plan: Plan, lessons: int) -> int:
    """How many steps the whole training takes."""
    return plan.epochs * math.ceil(plan.rehearsal.size(lessons) / plan.batch_size)


def train(
    student: Student,
    lessons: Sequence[Lesson],
    kept: Sequence[Kept],
    plan: Plan,
    checkpoint: Path | None = None,
    tell: Callable[[int, int], None] = lambda _done, _total: None,
    objective: Objective = forward_kl,
) -> History:
    """Teach the student its lessons.

    Args:
        student: changed in place.
        lessons: what to learn; those that are rehearsed last.
        kept: what must stay as it is; empty where nothing is kept.
        plan: how.
        checkpoint: file that the state is kept in, and taken up from.
        tell: called with the steps done and their total.
        objective: what the lessons are learnt by; what is kept is always kept by `forward_kl`.

    Raises:
        TrainingFailed: a loss was not finite.
    """
    weights = student.trained_parameters()
    optimiser = torch.optim.AdamW(
        weights.values(), lr=plan.learning_rate, betas=(0.9, 0.99), weight_decay=0.0, fused=True
    )
    total = steps_of(plan, len(lessons))
    history = History()
    first = _take_up(checkpoint, plan, weights, optimiser, history) if checkpoint else 0
    if first:
        logger.info("training goes on from its checkpoint, after step %d of %d", first, total)
    read = set(reading.tasks())  # no earlier turns: retrieval puts passages into the last one alone
    unrelated = [(each.question, each.answer) for each in kept if each.is_finished and each.question not in read]
    student.model.train()
    for step in range(first, total):
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * rate_at(step, total)
        distil, retention = _losses(student, *_batch(student, lessons, kept, unrelated, plan, step), plan, objective)
        loss = distil + plan.retention_weight * retention
        if not torch.isfinite(loss):
            raise TrainingFailed(
                f"The loss of step {step + 1} of {total} is {loss.item()}. Lower learning_rate ({plan.learning_rate})."
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights.values(), CLIP)
        optimiser.step()
        history.losses.append((step + 1, round(distil.item(), 5), round(retention.item(), 5)))
        if checkpoint and (step + 1) % CHECKPOINT_STEPS == 0:
            _keep(checkpoint, plan, weights, optimiser, history)
        tell(step + 1, total)
    student.model.eval()
    return history


def rate_at(step: int, total: int) -> float:
    """The share of the peak learning rate at a step: up in a line, then down along a cosine."""
    warm = max(1, round(WARM_UP * total))
    if step < warm:
        return (step + 1) / warm
    done = (step - warm) / max(1, total - warm)
    return FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * done))


def _batch(
    student: Student,
    lessons: Sequence[Lesson],
    kept: Sequence[Kept],
    unrelated: Sequence[tuple[str, str]],
    plan: Plan,
    step: int,
) -> tuple[list[tuple[Exchange, Tensor]], list[tuple[Exchange, Tensor]]]:
    """What a step trains on: lessons in the form in which they are asked this time, and what is to be kept."""
    a_pass = math.ceil(plan.rehearsal.size(len(lessons)) / plan.batch_size)
    epoch, place = divmod(step, a_pass)
    order = plan.rehearsal.order(len(lessons), plan.seed, epoch)
    order = order if plan.shuffled else sorted(order)
    chance = random.Random(f"{plan.seed}/{epoch}/{place}")  # noqa: S311 - repeatable on purpose
    taught = []
    for index in order[place::a_pass]:  # batches differ by one at most
        lesson = lessons[index]
        prompt = student.renderer.prompt(asked(lesson.question, chance, unrelated))
        taught.append((Exchange(prompt, lesson.answer), lesson.target))
    return taught, [(each.exchange, each.target) for each in _held(kept, plan, step)]


def _held(kept: Sequence[Kept], plan: Plan, step: int) -> list[Kept]:
    """What a step keeps: `kept` is gone through in random order, again and again, in a new order each time."""
    many = min(plan.retention_batch, len(kept)) if plan.retention_weight else 0
    places = (divmod(place, len(kept)) for place in range(step * many, (step + 1) * many))
    return [kept[_order(plan.seed, a_pass, len(kept))[index]] for a_pass, index in places]


@lru_cache(maxsize=2)
def _order(seed: int, a_pass: int, size: int) -> list[int]:
    """The order of a pass over what is kept; a step may lie in two of them."""
    return random.Random(f"{seed}/kept/{a_pass}").sample(range(size), size)  # noqa: S311 - repeatable on purpose


def _losses(
    student: Student,
    taught: Sequence[tuple[Exchange, Tensor]],
    kept: Sequence[tuple[Exchange, Tensor]],
    plan: Plan,
    objective: Objective,
) -> tuple[Tensor, Tensor]:
    """The mean loss of an answer token: of the lessons, and how far the student is from the base on what is kept."""
    hidden_ND = student.hidden(pack([exchange for exchange, _ in (*taught, *kept)]))
    border = sum(len(exchange.answer) for exchange, _ in taught)

    def loss_of(measure: Objective, part_ND: Tensor, lessons: Sequence[tuple[Exchange, Tensor]]) -> Tensor:
        target = torch.cat([target for _, target in lessons]).to(student.device)
        return measure(part_ND, target, student.head_VD, plan.temperature).mean()

    retention = loss_of(forward_kl, hidden_ND[border:], kept) if kept else hidden_ND.new_zeros(())
    return loss_of(objective, hidden_ND[:border], taught), retention


def _keep(
    file: Path, plan: Plan, weights: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer, history: History
) -> None:
    """Write the state of the training, whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, weight in weights.items():
        state = optimiser.state[weight]
        tensors[f"weight/{name}"] = weight.detach()
        tensors[f"mean/{name}"] = state["exp_avg"]
        tensors[f"square/{name}"] = state["exp_avg_sq"]
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    save_file(tensors, fresh, metadata={"name": plan.name, "losses": json.dumps(history.losses)})
    fresh.replace(file)


def _take_up(
    file: Path, plan: Plan, weights: dict[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer, history: History
) -> int:
    """Go on from a checkpoint of this very run. Returns the step to go on with."""
    if not file.is_file():
        return 0
    with safe_open(file, framework="pt") as stored:
        metadata = stored.metadata() or {}
        if metadata.get("name") != plan.name:
            return 0
        history.losses = [(step, distil, kept) for step, distil, kept in json.loads(metadata["losses"])]
        for name, weight in weights.items():
            with torch.no_grad():
                weight.copy_(stored.get_tensor(f"weight/{name}"))
            optimiser.state[weight] = {
                "step": torch.tensor(float(len(history.losses)), device=weight.device),  # where fused AdamW reads it
                "exp_avg": stored.get_tensor(f"mean/{name}").to(weight.device),
                "exp_avg_sq": stored.get_tensor(f"square/{name}").to(weight.device),
            }
    return len(history.losses)
