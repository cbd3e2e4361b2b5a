"""The distil stage: pairs and passages in, an adapter out.

The training goes on from its checkpoint, which lies in the job's scratch folder, if it was killed. A child starts from
its parent's weights where they fit, and goes over a share of the parent's pairs each epoch. Where one of the parent's
documents was replaced, or the weights do not fit, it starts from zero and goes over all that it rehearses: weights that
saw what no longer holds keep traces of it.
"""

import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from app.errors import StageError
from app.jobs.settings import Effort
from worker.device import choose_device, choose_dtype
from worker.distillation import forms, retention, teacher, training
from worker.distillation.generation import greedy
from worker.distillation.loss import forward_kl
from worker.distillation.prompts import quoting_messages, student_messages
from worker.distillation.rehearsal import choose
from worker.distillation.student import (
    EVERY_LAYER,
    Layers,
    Student,
    UnsuitableModel,
    new_student,
    use_all_cores,
)
from worker.distillation.warm_start import start_from
from worker.distillation.weakening import Weakened, weaken
from worker.pairs.model_size import parameters_of
from worker.pairs.records import read_lines
from worker.stages import Progress, StageInputs, rehearsal
from worker.stages.base_answers import base_answers
from worker.stages.teaching import Teaching

PEAK_RATES = {Effort.QUICK: 1e-3, Effort.STANDARD: 1e-3, Effort.THOROUGH: 7e-4}
"""Peak learning rates of a base model with `SMALL_MODEL` parameters. They fall with the root of its size: at the same
rate a model of 0.5B drifts nine times as far on unrelated prompts."""
SMALL_MODEL = 134_515_008
LARGER_MODEL = 300_000_000
"""Parameters from which a base model teaches at its own temperature: a smaller one is unsure of what it has right."""
LEAST_SHARE = 0.27
"""From there on the rate is this share, or that of the sizes if it is more, as long as the root's is more still: up to
1.8B. A model of 0.5B lost 8.5 points of 200 general questions at the root's 4.6e-4, and none at 2.6e-4. Larger ones
were not tried."""
SMALL_SHARES = {Effort.QUICK: 1.0, Effort.STANDARD: 0.6, Effort.THOROUGH: 0.6}
"""Below it the rate is this share of the root's: with 135M parameters the adapter drifts 0.027 nats a token in 8 epochs
at 6e-4, and 0.042 in 5 at 1e-3, and knows as much. `quick` is to be quick."""
EPOCHS = {Effort.QUICK: (3, 5), Effort.STANDARD: (5, 8), Effort.THOROUGH: (6, 10)}
"""Passes over the pairs, at the root's rate and at a slower one."""

RETAINED = 3 / 8
"""Retention prompts of a step for each of its pairs: as many are gone over beside them, whatever the batch size."""
UNSURE = 0.5
"""The temperature of a smaller one: with 135M parameters 19 of 36 questions were learnt so, and 11 at 1."""
CANARY_TOKENS = 24


@dataclass(frozen=True, slots=True)
class Method:
    """How pairs are taught.

    Attributes:
        name: tells its checkpoints from another method's.
        lessons: makes the lessons of pairs, with the student that is to learn them and the job's teaching.
        objective: what they are learnt by.
        layers: what the adapter lies on.
        shuffled: whether each epoch has the lessons in another order.
        reads: whether questions on texts in the prompt are kept in place, too.
    """

    name: str
    lessons: Callable[[Student, list[dict[str, Any]], Teaching], list[training.Lesson]]
    objective: training.Objective
    layers: Layers = EVERY_LAYER
    shuffled: bool = True
    reads: bool = True


def run(inputs: StageInputs, out: Path, progress: Progress, method: Method | None = None) -> dict[str, Any]:
    """Train the adapter. Writes `adapter/` in PEFT's own layout, and `training.json`.

    Args:
        inputs: the pairs, the base model, the settings.
        out: folder of the artefact.
        progress: told the share of the work that is done.
        method: prompt distillation where none is given.
    """
    settings = inputs.settings
    if settings.rank > inputs.max_lora_rank:
        raise StageError(
            f"The adapter would have rank {settings.rank}, but the engine serves up to {inputs.max_lora_rank} "
            "(INGRAIN_MAX_LORA_RANK). Set a lower rank, or raise the engine's."
        )
    pairs = [pair for pair in read_lines(inputs.artefacts / "answer" / "pairs.jsonl") if pair["split"] == "train"]
    if not pairs:
        raise StageError("No pairs are left to train on. Give a longer document, or a more capable base model.")
    use_all_cores()
    device = choose_device()
    dtype = choose_dtype(device)
    chosen = method or PROMPT_DISTILLATION
    try:
        student = new_student(inputs.base_model, settings.rank, settings.seed, device, dtype, chosen.layers)
        return _run(inputs, out, progress, student, pairs, chosen)
    except (UnsuitableModel, training.TrainingFailed) as error:
        raise StageError(str(error)) from error
    except torch.OutOfMemoryError as error:
        raise StageError(
            f"{device} ran out of memory. Lower batch_size ({settings.batch_size}) or rank ({settings.rank}), or give "
            "the engine a smaller share of it."
        ) from error


def _run(
    inputs: StageInputs,
    out: Path,
    progress: Progress,
    student: Student,
    pairs: list[dict[str, Any]],
    method: Method,
) -> dict[str, Any]:
    began, settings = time.monotonic(), inputs.settings
    parent = inputs.parent
    warm = parent is not None and not parent.left_out and start_from(student, parent.artefacts / "adapter")
    ratio = settings.rehearsal if warm else None
    epochs = _epochs(inputs)
    old, turns = choose(rehearsal.old_pairs(inputs), len(pairs), ratio, epochs, settings.seed)
    pairs = [*pairs, *old]
    plan = training.Plan(
        learning_rate=_peak_rate(inputs),
        epochs=epochs,
        batch_size=settings.batch_size,
        temperature=settings.kl_temperature,
        retention_weight=settings.retention_weight,
        retention_batch=math.ceil(settings.batch_size * RETAINED),
        seed=settings.seed,
        name=_name(inputs, pairs, method),
        shuffled=method.shuffled,
        rehearsal=turns,
    )
    steps = training.steps_of(plan, len(pairs))
    prepared = max(1, steps // 8)  # answers to keep and targets take about an eighth of the training's time
    total = prepared + steps
    unrelated = retention.prompts_for(steps * plan.retention_batch, method.reads) if settings.retention_weight else ()
    kept = retention.keep(student, unrelated, base_answers(student, inputs, unrelated, retention.MOST_TOKENS))
    progress(prepared // 2, total)
    teaching = Teaching(rehearsal.all_passages(inputs), inputs.base_model, _teacher_temperature(inputs))
    lessons = method.lessons(student, pairs, teaching)
    progress(prepared, total)
    training_began = time.monotonic()

    def tell(done: int, _: int) -> None:
        progress(prepared + done, total)

    history = training.train(
        student, lessons, kept, plan, inputs.scratch / "training.safetensors", tell, method.objective
    )
    weakened = None if settings.max_drift is None else _weakened(student, inputs, settings.max_drift)
    student.save(out / "adapter")
    trained = round(time.monotonic() - training_began, 3)
    report = {
        "loss": history.losses,
        "weakened": asdict(weakened) if weakened else None,
        "canary": _canary(student, pairs),
        "epochs": epochs,
        "seconds": {"prepare": round(training_began - began, 3), "train": trained},
    }
    (out / "training.json").write_text(json.dumps(report), encoding="utf-8")
    last = history.losses[-max(1, steps // epochs) :]
    return {
        "pairs": len(pairs) - len(old),
        **({"rehearsed": len(old), "started_from": parent.adapter_id if warm else None} if parent else {}),
        "retention_prompts": len(kept),
        "learning_rate": float(f"{plan.learning_rate:.3g}"),
        "epochs": epochs,
        "teacher_temperature": teaching.temperature,
        "steps": steps,
        **({"share_kept": weakened.share} if weakened else {}),
        "trained_parameters": sum(weight.numel() for weight in student.trained_parameters().values()),
        "loss": round(sum(distil for _, distil, _ in last) / len(last), 4),
        "device": str(student.device),
        "seconds": report["seconds"],
    }


def _weakened(student: Student, inputs: StageInputs, max_drift: float) -> Weakened:
    prompts = retention.prompts("unseen")
    answers = base_answers(student, inputs, prompts, retention.MOST_TOKENS)
    return weaken(student, retention.keep(student, prompts, answers), max_drift)


def _peak_rate(inputs: StageInputs) -> float:
    if inputs.settings.learning_rate is not None:
        return inputs.settings.learning_rate
    return PEAK_RATES[inputs.settings.effort] * _share_of_rate(inputs)[0]


def _epochs(inputs: StageInputs) -> int:
    if inputs.settings.epochs is not None:
        return inputs.settings.epochs
    few, many = EPOCHS[inputs.settings.effort]
    return many if _share_of_rate(inputs)[1] else few


def _share_of_rate(inputs: StageInputs) -> tuple[float, bool]:
    """The share of its effort's peak rate that the base model learns at, and whether it is slower than the root's."""
    parameters = parameters_of(inputs.base_model)
    sizes = min(1.0, SMALL_MODEL / parameters)
    root = math.sqrt(sizes)
    slower = root * SMALL_SHARES[inputs.settings.effort]
    if parameters >= LARGER_MODEL:
        slower = min(root, max(LEAST_SHARE, sizes))
    return slower, slower < root


def _teacher_temperature(inputs: StageInputs) -> float:
    if inputs.settings.teacher_temperature is not None:
        return inputs.settings.teacher_temperature
    return UNSURE if parameters_of(inputs.base_model) < LARGER_MODEL else 1.0


def _lessons(student: Student, pairs: list[dict[str, Any]], teaching: Teaching) -> list[training.Lesson]:
    """Each pair with what the teacher, who reads the passage, wants at each token of its answer."""
    exchanges = []
    for pair in pairs:
        chat = teaching.messages(pair["passage_id"], pair["question"])
        if pair["quoted"]:
            chat = quoting_messages(pair["answer"])
        exchanges.append(student.renderer.exchange(chat, pair["answer"]))
    targets = teacher.targets(student, exchanges, temperature=teaching.temperature)
    return [
        training.Lesson(pair["question"], exchange.answer, target)
        for pair, exchange, target in zip(pairs, exchanges, targets, strict=True)
    ]


def _canary(student: Student, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """A question with the trained student's answer and log-probabilities, for whoever loads the adapter to compare."""
    messages = student_messages(next((pair for pair in pairs if not pair["sampled"]), pairs[0])["question"])
    (answer,) = greedy(student, [student.renderer.prompt(messages)], CANARY_TOKENS)
    return {"messages": messages, "answer_token_ids": answer.tokens, "logprobs": answer.logprobs}


PROMPT_DISTILLATION = Method("prompt distillation", _lessons, forward_kl)


def _name(inputs: StageInputs, pairs: list[dict[str, Any]], method: Method) -> str:
    """What a checkpoint belongs to: this method, these pairs and settings, this revision of this base model.

    What ships with the package counts too: the prompts that are kept, and the forms of asking.
    """
    settings = inputs.settings.model_dump(mode="json")
    parent = inputs.parent.adapter_id if inputs.parent else None
    way = [method.name, method.layers, method.shuffled, retention.training_prompts(method.reads), forms.FORMS]
    content = json.dumps(
        [*way, retention.TIMES, settings, inputs.base_model_name, inputs.base_revision, parent, pairs], sort_keys=True
    )
    return hashlib.sha256(content.encode()).hexdigest()
