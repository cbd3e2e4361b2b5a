"""What a setting of the training does: adapters on the same pairs, each with something changed, compared.

    python -m benchmarks.training_variants --data FILE --model MODEL --passages 10 --effort quick
        --variants "" learning_rate=3e-4 rank=8 kl_temperature=2 objective=jsd epochs=2,learning_rate=1e-3

The data, the questions and the other options are those of `squadshifts.py`; data/invented.jsonl has passages and
questions of our own, which settings are tried on. A variant is a list of settings of a job by name, and of

- `objective`: kl (the method's own), reverse, jsd, half (half kl, half reverse), top20, top64, hidden (kl and the last
  hidden states), mixed (kl, with a sampled answer to each question that the student begins; for answers_per_question
  of 2 or more), or sft (cross-entropy on the greedy answers);
- `layers` that the adapter lies on: all, attention or mlp (as Llama, Qwen and Mistral call them);
- `order` of the lessons: shuffled each epoch, or spread (each batch from all over the passages);
- `kept` in place: all, or plain (no questions on texts in the prompt; `reading.py` shows what comes of it).

The empty variant changes nothing. Prints accuracy closed-book, how far it is from
the first variant, the mean KL from the teacher on the data's questions (at the tokens of the oracle's right answers: a
finer measure, but only between variants that are to come as near to the same teacher), what became of 200 general
questions in points, the drift on unrelated prompts, and the seconds that the training took.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError, IngrainError
from benchmarks.injection.held_out_loss import mean_held_out_loss
from benchmarks.injection.intervals import Scores, difference, estimate, gained, lost_points
from benchmarks.injection.methods import FINE_TUNING, MIXED, WAYS
from benchmarks.injection.objectives import half_reversed, hidden_states, jensen_shannon, reverse_kl, top_k
from benchmarks.injection.options import add_options, make_plan, trained_with
from benchmarks.injection.run import Plan, run
from benchmarks.injection.steps import be_quiet
from benchmarks.squadshifts import scores_of
from worker.distillation.student import EVERY_LAYER, Layers
from worker.stages.distil import PROMPT_DISTILLATION, UNSURE, Method

Chosen = TypeVar("Chosen")

METHODS: Final[dict[str, Method]] = {
    "kl": PROMPT_DISTILLATION,
    "sft": FINE_TUNING,
    **{
        name: replace(PROMPT_DISTILLATION, name=name, objective=objective)
        for name, objective in {
            "reverse": reverse_kl,
            "jsd": jensen_shannon,
            "half": half_reversed,
            "top20": top_k(20),
            "top64": top_k(64),
            "hidden": hidden_states(1.0),
        }.items()
    },
    "mixed": MIXED,
}
LAYERS: Final[dict[str, Layers]] = {
    "all": EVERY_LAYER,
    "attention": ["q_proj", "k_proj", "v_proj", "o_proj"],
    "mlp": ["gate_proj", "up_proj", "down_proj"],
}
ORDERS: Final = {"shuffled": True, "spread": False}
KEPT: Final = {"all": True, "plain": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--effort", default="standard", help="quick, standard or thorough")
    parser.add_argument("--pairs-per-passage", type=int, help="train on at most so many (all)")
    parser.add_argument("--variants", nargs="+", default=[""], help="what to change: NAME=VALUE[,NAME=VALUE …]")
    options = parser.parse_args()
    be_quiet()
    console = Console(width=120)
    try:
        plan, _ = make_plan(options, ["oracle", "pd"], options.effort, options.pairs_per_passage)
        plans = {variant: vary(plan, variant) for variant in options.variants}
        rows = [measure(each, options.seeds) | {"variant": variant} for variant, each in plans.items()]
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)
    table = Table(title=f"{options.data.stem}, {len(plan.items)} passages, {Path(options.model).name}")
    for heading in (
        "variant",
        "accuracy, %",
        "against the first, points",
        "held-out loss, nats",
        "general, points",
        "drift, nats",
        "training, s",
    ):
        table.add_column(heading, justify="left" if heading == "variant" else "right")
    for row in rows:
        accuracy = estimate([row["scores"]])
        against = estimate([row["scores"], rows[0]["scores"]], difference)
        lost = row["lost_points"]
        row |= {"accuracy": accuracy.as_json(), "against_first": against.as_json(), "lost_points": lost.as_json()}
        table.add_row(
            row["variant"] or "as it is",
            f"{100 * accuracy.value:.1f} ({100 * accuracy.low:.1f} to {100 * accuracy.high:.1f})",
            f"{100 * against.value:+.1f} ({100 * against.low:+.1f} to {100 * against.high:+.1f})",
            "-" if row["held_out_loss"] is None else f"{row['held_out_loss']:.3f}",
            gained(lost),
            f"{row['drift']:.3f}",
            f"{row['seconds']:.0f}",
        )
    console.print(table)
    if options.json:
        told = [{name: value for name, value in row.items() if name != "scores"} for row in rows]
        options.json.write_text(json.dumps(told, indent=2))


def vary(plan: Plan, variant: str) -> Plan:
    """The plan with a variant's changes.

    Raises:
        ConfigurationError: an objective or a setting of the training is not known, a value is wrong, or an objective
            cannot have the teacher's temperature.
    """
    parts = dict(part.partition("=")[::2] for part in variant.split(",") if part)
    objective = parts.pop("objective", "kl")
    method = _chosen(METHODS, "objective", objective)
    layers = _chosen(LAYERS, "layers", parts.pop("layers", "all"))
    shuffled = _chosen(ORDERS, "order", parts.pop("order", "shuffled"))
    reads = _chosen(KEPT, "kept", parts.pop("kept", "all"))
    changed = trained_with(plan, [f"{name}={value}" for name, value in parts.items()])
    if objective == "sft" and "teacher_temperature" in parts:
        raise ConfigurationError("objective=sft has no teacher: leave teacher_temperature out of that variant.")
    if objective == "hidden" and (changed.settings.teacher_temperature or UNSURE) != 1:
        raise ConfigurationError(
            "objective=hidden matches the teacher's states as they are: add teacher_temperature=1 to that variant."
        )
    way = replace(WAYS["pd"], adapter=replace(method, layers=layers, shuffled=shuffled, reads=reads))
    return replace(changed, ways={**plan.ways, "pd": way}, variant=f"-{variant}" if variant else "")


def _chosen(among: Mapping[str, Chosen], what: str, name: str) -> Chosen:
    if name not in among:
        raise ConfigurationError(f"There is no {what} {name!r}. Choose of {', '.join(among)} (--variants).")
    return among[name]


def measure(plan: Plan, seeds: int) -> dict[str, Any]:
    """A variant's scores, held-out loss, retention and the seconds of its training, on average over the seeds."""
    made = [run(plan, seed) for seed in range(seeds)]
    scores: Scores = scores_of(plan.items, [each.answers["pd"] for each in made], lambda grade: grade.holds)
    kept = [each.retention["pd"] for each in made]
    return {
        "scores": scores,
        "held_out_loss": mean_held_out_loss(plan, made),
        "drift": sum(each["drift"]["nats"] for each in kept) / seeds,
        "lost_points": lost_points(kept),
        "seconds": sum(each.training["pd"] for each in made) / seeds,
    }


if __name__ == "__main__":
    main()
