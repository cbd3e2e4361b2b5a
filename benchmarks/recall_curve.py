"""Where does more stop helping? Closed-book accuracy of adapters by effort and by how many pairs a passage has.

    python -m benchmarks.recall_curve --data FILE --model MODEL --passages 20 --efforts quick standard
        --pairs-per-passage 4 8 16 32 [--figure PATH] [--json PATH]

The data, the questions and the options are those of `squadshifts.py`. The pairs of an effort are made once; each number
of them trains an adapter of its own. Prints a row an adapter, with how far it is from the teacher on the data's
questions beside its accuracy (see `injection/held_out_loss.py`); the figure has a line an effort.
"""

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.errors import IngrainError
from benchmarks.injection.figure import lines
from benchmarks.injection.held_out_loss import mean_held_out_loss
from benchmarks.injection.intervals import Estimate, estimate
from benchmarks.injection.options import add_options, make_plan
from benchmarks.injection.run import run
from benchmarks.injection.steps import be_quiet
from benchmarks.squadshifts import scores_of

LEVELS = ("base", "oracle")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--efforts", nargs="+", default=["standard"], help="of quick, standard and thorough")
    parser.add_argument("--pairs-per-passage", type=int, nargs="+", default=[4, 8, 16, 32], help="numbers to try")
    options = parser.parse_args()
    be_quiet()
    console = Console(width=120)
    try:
        points, levels = measure(options)
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)
    table = Table(title=f"{options.data.stem}, {Path(options.model).name}: accuracy of the adapter, in %")
    for heading in (
        "effort",
        "pairs a passage, at most",
        "pairs",
        "accuracy",
        "95 % interval",
        "held-out loss, nats",
        "seconds",
    ):
        table.add_column(heading, justify="left" if heading == "effort" else "right")
    for point in points:
        accuracy: Estimate = point["accuracy"]
        interval = f"{100 * accuracy.low:.1f} to {100 * accuracy.high:.1f}"
        loss = "-" if point["held_out_loss"] is None else f"{point['held_out_loss']:.3f}"
        figures = [f"{100 * accuracy.value:.1f}", interval, loss, f"{point['seconds']:.0f}"]
        table.add_row(point["effort"], str(point["most"]), str(point["pairs"]), *figures)
    console.print(table)
    console.print("; ".join(f"{name} {100 * share:.1f}" for name, share in levels), highlight=False)
    if options.json:
        told = [{**point, "accuracy": point["accuracy"].as_json()} for point in points]
        options.json.write_text(json.dumps({"adapters": told, "levels": dict(levels)}, indent=2))
    if options.figure:
        series = [
            (effort, [(point["most"], point["accuracy"]) for point in points if point["effort"] == effort])
            for effort in options.efforts
        ]
        title = f"{options.data.stem}, {Path(options.model).name}: accuracy in %"
        options.figure.write_text(lines(title, "pairs a passage, at most", series, levels))


def measure(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[tuple[str, float]]]:
    """Each adapter's accuracy, and the levels to compare them with."""
    points, levels = [], []
    for effort in options.efforts:
        for most in sorted(options.pairs_per_passage):
            own = copy.copy(options)
            own.work = options.work and options.work / effort
            plan, _ = make_plan(own, [*LEVELS, "pd"], effort, most)
            made = [run(plan, seed) for seed in range(options.seeds)]
            found = {
                name: estimate(
                    [scores_of(plan.items, [each.answers[name] for each in made], lambda grade: grade.holds)]
                )
                for name in plan.ways
            }
            levels = [(name, found[name].value) for name in LEVELS]
            points.append(
                {
                    "effort": effort,
                    "most": most,
                    "pairs": sum(each.pairs["trained_on"] for each in made) // len(made),
                    "accuracy": found["pd"],
                    "held_out_loss": mean_held_out_loss(plan, made),
                    "seconds": sum(each.seconds["pd"] for each in made) / len(made),
                }
            )
    return points, levels


if __name__ == "__main__":
    main()
