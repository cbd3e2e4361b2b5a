"""The paper's experiment: passages that a model does not know, questions that people asked about them, six ways to
give it the knowledge.

    python -m benchmarks.squadshifts --data FILE --model MODEL [--passages 50] [--seeds 1]
        [--methods base,oracle,rag,sft,pd,pd+rag] [--effort standard] [--set epochs=3 …] [--pairs-per-passage 20]
        [--json PATH] [--figure PATH]

FILE has a JSON object a line: `title`, `passage`, `questions` (a list of `id`, `question`, `answers`), as SQuADshifts
(Miller, Krauth, Recht and Schmidt, ICML 2020; https://modestyachts.github.io/squadshifts-website/) has them once its
paragraphs are laid out so. One adapter is trained for all passages, as in "Knowledge Injection via Prompt Distillation"
(arXiv 2412.14964). sft and pd have the same base model, questions, number of pairs, steps, learning rate and retention
term, and differ in the loss; sft learns the teacher's greedy answers, pd its distributions. `training_variants.py`
finds the settings that suit sft best, and --set-sft gives it those.

Accuracy is the share of answers that hold a right one, after SQuAD's normalisation; a judge adds its own. Intervals are
95 % bootstrap intervals over seeds and passages; with one seed the training's own chance is not in them. What training
took away is told by 200 general questions, with a paired interval of these. Run the same command again and it goes on
where it was stopped.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError, IngrainError
from benchmarks.injection.data import Item
from benchmarks.injection.figure import bars
from benchmarks.injection.grading import Grade, grade
from benchmarks.injection.intervals import (
    Estimate,
    Floats,
    Scores,
    difference,
    estimate,
    gained,
    lost_points,
    recovered,
)
from benchmarks.injection.judge import Given, Judge, judge_all
from benchmarks.injection.methods import WAYS
from benchmarks.injection.options import add_options, make_plan, trained_with
from benchmarks.injection.run import Made, Plan, run
from benchmarks.injection.steps import be_quiet, say

Graded = Sequence[Sequence[Sequence[bool | None]]]
"""Of a method: for each seed, for each passage, its questions' grades."""

Figure = Callable[[list[Floats]], Floats]

COMPARISONS: Final[tuple[tuple[str, tuple[str, ...], Figure], ...]] = (
    ("pd - sft", ("pd", "sft"), difference),
    ("pd - rag", ("pd", "rag"), difference),
    ("pd+rag - rag", ("pd+rag", "rag"), difference),
    ("(pd - base) / (oracle - base)", ("pd", "base", "oracle"), recovered),
)
"""What the methods are compared by: what it is called, of which methods, and how it follows from their accuracies."""


@dataclass(frozen=True, slots=True)
class Row:
    """A method's figures over all seeds.

    Attributes:
        judged: share that a judge finds right, of the answers that all methods have a grade for; None where none was
            asked.
        lost_points: of 200 general questions, how many points worse than the base model; None without an adapter.
        seconds: of one seed, on average.
    """

    method: str
    accuracy: Estimate
    f1: Estimate
    exact: Estimate
    judged: Estimate | None
    lost_points: Estimate | None
    seconds: float


_CAPTION: Final = (
    "general: points gained or lost on 200 general questions; seconds: of pairs, training and answering, for one seed"
)


def scores_of(items: Sequence[Item], made: Sequence[dict[str, str]], score: Callable[[Grade], float]) -> Scores:
    """A method's scores: `made` has its answers by question, for each seed."""
    return [
        [[score(grade(answers[asked.id], asked.answers)) for asked in item.questions] for item in items]
        for answers in made
    ]


def compare(scores: dict[str, Scores]) -> dict[str, Estimate]:
    """The comparisons that the methods at hand allow, on their accuracies."""
    return {
        name: estimate([scores[method] for method in methods], figure)
        for name, methods, figure in COMPARISONS
        if all(method in scores for method in methods)
    }


def main() -> None:
    options = _parser().parse_args()
    be_quiet()
    console = Console(width=120)
    try:
        if bool(options.judge_url) != bool(options.judge_model):
            raise ConfigurationError("A judge needs both --judge-url and --judge-model.")
        plan, settings = make_plan(options, options.methods.split(","), options.effort, options.pairs_per_passage)
        settings |= {"seeds": options.seeds, "judge": options.judge_model, "sft": options.set_sft}
        made = [_run(plan, seed, options.set_sft) for seed in range(options.seeds)]
        graded = _judge(options, plan, made)
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)
    scores = {
        name: scores_of(plan.items, [each.answers[name] for each in made], lambda grade: grade.holds)
        for name in plan.ways
    }
    rows = [_row(plan.items, name, scores[name], made, graded.get(name)) for name in plan.ways]
    compared = compare(scores)
    _print(console, options, plan, rows, compared)
    if options.json:
        result = {
            "results": [_flat(row) for row in rows],
            "comparisons": {name: each.as_json() for name, each in compared.items()},
            "settings": settings | {"pairs": [each.pairs for each in made]},
        }
        options.json.write_text(json.dumps(result, indent=2))
    if options.figure:
        options.figure.write_text(bars(_title(options, plan), [(row.method, row.accuracy) for row in rows]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--methods", default=",".join(WAYS), help=f"of {', '.join(WAYS)}")
    parser.add_argument("--effort", default="standard", help="quick, standard or thorough")
    parser.add_argument("--pairs-per-passage", type=int, help="train on at most so many (all)")
    parser.add_argument(
        "--set-sft", nargs="*", default=[], metavar="NAME=VALUE", help="settings of sft's training alone"
    )
    parser.add_argument("--judge-url", help="an OpenAI endpoint whose model grades, up to /v1")
    parser.add_argument("--judge-model", help="that model")
    parser.add_argument("--judge-key", help="the endpoint's key")
    return parser


def _run(plan: Plan, seed: int, named: Sequence[str]) -> Made:
    """Make what is missing of one seed, with settings of its own for sft where there are any."""
    if not named or "sft" not in plan.ways:
        return run(plan, seed)
    own = replace(trained_with(plan, named), ways={"sft": WAYS["sft"]}, variant=f"-{','.join(named)}")
    first = run(replace(plan, ways={name: way for name, way in plan.ways.items() if name != "sft"}), seed)
    second = run(own, seed)
    return Made(
        answers=first.answers | second.answers,
        seconds=first.seconds | second.seconds,
        training=first.training | second.training,
        retention=first.retention | second.retention,
        pairs=second.pairs,
    )


def _judge(options: argparse.Namespace, plan: Plan, made: Sequence[Made]) -> dict[str, Estimate]:
    """The share of each method's answers that the judge finds right; nothing where there is no judge."""
    if not options.judge_url:
        return {}
    judge = Judge(options.judge_url, options.judge_model, options.judge_key)
    file = plan.folder / f"judged-{hashlib.sha256(options.judge_model.encode()).hexdigest()[:8]}.json"
    grades: dict[str, list[list[list[bool | None]]]] = {}
    for method in plan.ways:
        asked = [
            Given(each.question, each.answers, answers.answers[method][each.id])
            for answers in made
            for item in plan.items
            for each in item.questions
        ]
        given = iter(judge_all(judge, asked, file, f"judging {method}"))
        grades[method] = [[list(islice(given, len(item.questions))) for item in plan.items] for _ in made]
    return judged(grades)


def judged(grades: Mapping[str, Graded]) -> dict[str, Estimate]:
    """The share of each method's answers that are graded right, of the questions for which all have a grade each time.

    Args:
        grades: of each method, for each seed, for each passage, its questions' grades; None: the judge gave none.
    """
    every_time = [seed for method in grades.values() for seed in method]
    complete = [
        [None not in given for given in zip(*one_passage, strict=True)] for one_passage in zip(*every_time, strict=True)
    ]
    left_out = sum(not each for passage in complete for each in passage)
    if left_out:
        say(f"judging: {left_out} questions have an answer without a grade and are left out for all methods")

    def scores(seed: Sequence[Sequence[bool | None]]) -> list[list[float]]:
        return [
            [float(bool(grade)) for grade, counts in zip(given, passage, strict=True) if counts]
            for given, passage in zip(seed, complete, strict=True)
            if any(passage)
        ]

    if not any(map(any, complete)):
        return {}
    return {name: estimate([[scores(seed) for seed in method]]) for name, method in grades.items()}


def _row(items: Sequence[Item], name: str, scores: Scores, made: Sequence[Made], judged: Estimate | None) -> Row:
    answers = [each.answers[name] for each in made]
    return Row(
        method=name,
        accuracy=estimate([scores]),
        f1=estimate([scores_of(items, answers, lambda grade: grade.f1)]),
        exact=estimate([scores_of(items, answers, lambda grade: grade.exact)]),
        judged=judged,
        lost_points=lost_points([each.retention[name] for each in made]) if name in made[0].retention else None,
        seconds=round(_mean(each.seconds[name] for each in made), 1),
    )


def _mean(figures: Iterable[float]) -> float:
    found = list(figures)
    return sum(found) / len(found)


def _flat(row: Row) -> dict[str, Any]:
    told: dict[str, Any] = {
        "method": row.method,
        "accuracy": row.accuracy.value,
        "low": row.accuracy.low,
        "high": row.accuracy.high,
        "f1": row.f1.value,
        "f1_low": row.f1.low,
        "f1_high": row.f1.high,
        "exact": row.exact.value,
        "exact_low": row.exact.low,
        "exact_high": row.exact.high,
        "seconds": row.seconds,
    }
    for name, figure in (("judged", row.judged), ("lost_points", row.lost_points)):
        if figure is not None:
            told |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return told


def _title(options: argparse.Namespace, plan: Plan) -> str:
    return f"{options.data.stem}, {len(plan.items)} passages, {Path(options.model).name}: accuracy in %"


def _with_interval(share: Estimate) -> str:
    return f"{100 * share.value:.1f} ({100 * share.low:.1f} to {100 * share.high:.1f})"


def _print(
    console: Console, options: argparse.Namespace, plan: Plan, rows: Sequence[Row], compared: dict[str, Estimate]
) -> None:
    table = Table(title=_title(options, plan), caption=_CAPTION)
    for heading in ("method", "accuracy", "F1", "exact", "judge", "general", "seconds"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for row in rows:
        table.add_row(
            row.method,
            _with_interval(row.accuracy),
            _with_interval(row.f1),
            _with_interval(row.exact),
            "" if row.judged is None else _with_interval(row.judged),
            "" if row.lost_points is None else gained(row.lost_points),
            f"{row.seconds:.0f}",
        )
    console.print(table)
    for name, each in compared.items():
        scale, unit = (1, "") if "/" in name else (100, " points")
        console.print(
            f"{name}: {scale * each.value:.2f}{unit} (95 % interval {scale * each.low:.2f} to {scale * each.high:.2f})",
            highlight=False,
        )


if __name__ == "__main__":
    main()
