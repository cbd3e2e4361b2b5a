"""How fast an engine answers with one, with many and with more adapters than it has slots for, against its base model.

    python -m benchmarks.serving --model FOLDER --engines embedded vllm --vllm-python PATH --json PATH

Starts each engine as `ingrain up` does, one after the other, and asks it through `Engines`, as the API does, by
closed-loop clients (`benchmarks/load.py`). The adapters are LoRAs with random weights. Each round measures every
configuration once, so that a noisy machine hits all alike; ratios are taken within a round, and figures are medians
over the rounds. Prints a table for each engine, and what came out beside the goals.
"""

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.engine.engines import Engines
from app.engine.slots import AdapterFiles
from app.errors import ConfigurationError, IngrainError
from benchmarks.engine_process import ENGINES, EngineName, engine_settings, running_engine
from benchmarks.load import Cell, Load, Measurement
from benchmarks.questions import numbered_questions
from benchmarks.random_adapters import make_adapters

SLOTS: Final = 4
SLOTS_CLIENTS: Final = SLOTS * (SLOTS + 1)  # as many for each adapter, whether it is one of 4 or one of 5
_PATIENCE_SECONDS: Final = 60.0
_WARM_UP_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured on each engine.

    Attributes:
        cells: on an engine that holds every adapter.
        few, many: as many adapters as slots, and one more.
        seconds, slots_seconds: how long a cell, and how long one of the last two is measured.
        tokens: the length of an answer.
    """

    cells: tuple[Cell, ...]
    few: Cell
    many: Cell
    rounds: int
    seconds: float
    slots_seconds: float
    tokens: int


@dataclass(frozen=True, slots=True)
class Row:
    """A cell's figures; rates in tokens a second, times in seconds.

    Attributes:
        ratio: of its rate to the base model's with as many clients; for slots + 1, to that with as many as slots.
    """

    adapters: int
    clients: int
    slots: int | None
    tokens_per_second: float
    ratio: float
    first_token_median: float
    first_token_p95: float


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured on an engine; `cold_first_token` is from an adapter's first request to its first token."""

    engine: str
    rows: list[Row]
    cold_first_token: list[float]


def make_plan(options: argparse.Namespace, adapters: Sequence[AdapterFiles]) -> Plan:
    counts = [0, *options.adapters]
    return Plan(
        cells=tuple(Cell(tuple(adapters[:count]), clients) for clients in options.clients for count in counts),
        few=Cell(tuple(adapters[:SLOTS]), SLOTS_CLIENTS, is_bound=True),
        many=Cell(tuple(adapters[: SLOTS + 1]), SLOTS_CLIENTS, is_bound=True),
        rounds=options.rounds,
        seconds=options.seconds,
        slots_seconds=options.slots_seconds,
        tokens=options.tokens,
    )


async def measure(
    engine: str, url: str, base: str, adapters: Sequence[AdapterFiles], plan: Plan, progress: Progress
) -> Result:
    """All that is asked of one engine.

    Raises:
        IngrainError: it failed in the middle.
    """
    ends = (plan.cells[0], plan.cells[-1])
    warm_up = replace(plan, cells=ends, seconds=_WARM_UP_SECONDS, slots_seconds=_WARM_UP_SECONDS)
    asked = numbered_questions()
    async with (
        Engines([url], slots=len(adapters), patience=_PATIENCE_SECONDS) as engines,
        Engines([url], slots=SLOTS, patience=_PATIENCE_SECONDS) as scarce,
    ):
        load, swapping = Load(engines, base, asked, plan.tokens), Load(scarce, base, asked, plan.tokens)
        await load.measure(Cell((), 1), _WARM_UP_SECONDS)
        # The first of all may cost an engine more than others do.
        _, *cold = [await load.first_token_seconds(adapter) for adapter in adapters]
        rounds = []
        for turn in progress.track([warm_up, *[plan] * plan.rounds], description=engine):
            for adapter in adapters:  # all are there before anything is measured
                await load.first_token_seconds(adapter)
            measured = {cell: await load.measure(cell, turn.seconds) for cell in turn.cells}
            for adapter in adapters:
                await engines.unload(adapter.id)
            for cell in (plan.few, plan.many):
                measured[cell] = await swapping.measure(cell, turn.slots_seconds)
            rounds.append(measured)
    return Result(engine, make_rows(rounds[1:], plan), cold)


def make_rows(rounds: Sequence[Mapping[Cell, Measurement]], plan: Plan) -> list[Row]:
    """One row for each cell, in the plan's order.

    Raises:
        ConfigurationError: the rounds were too short.
    """

    def row(cell: Cell, against: Cell, slots: int | None) -> Row:
        first = sorted(seconds for each in rounds for seconds in each[cell].first_token_seconds)
        if not first:
            raise ConfigurationError(
                f"With {cell.clients} clients no answer began within the time. Measure for longer (--seconds), or ask "
                "for shorter answers (--tokens)."
            )
        return Row(
            adapters=len(cell.adapters),
            clients=cell.clients,
            slots=slots,
            tokens_per_second=statistics.median(each[cell].tokens_per_second for each in rounds),
            ratio=statistics.median(each[cell].tokens_per_second / each[against].tokens_per_second for each in rounds),
            first_token_median=statistics.median(first),
            first_token_p95=first[math.ceil(0.95 * len(first)) - 1],
        )

    rows = [row(cell, Cell((), cell.clients), None) for cell in plan.cells]
    return [*rows, row(plan.few, plan.few, SLOTS), row(plan.many, plan.few, SLOTS)]


def print_result(result: Result, console: Console) -> None:
    """The table, the time of a cold adapter, and the goals."""
    table = Table(title=f"{result.engine}: tokens a second, and time to first token")
    for heading in ("adapters", "clients", "tokens/s", "ratio", "first token ms", "p95 ms"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        name = str(row.adapters or "base") + (f" on {row.slots} slots" if row.slots else "")
        times = (f"{1000 * row.first_token_median:.0f}", f"{1000 * row.first_token_p95:.0f}")
        table.add_row(name, str(row.clients), f"{row.tokens_per_second:.1f}", f"{row.ratio:.2f}", *times)
    console.print(table)
    cold = 1000 * statistics.median(result.cold_first_token)
    console.print(f"A cold adapter's first token, loading included: {cold:.0f} ms (median of its first requests)")
    resident = [row for row in result.rows if row.slots is None]
    most = max(row.adapters for row in resident)
    ratios = ", ".join(f"{row.ratio:.2f} at {row.clients}" for row in resident if row.adapters == most)
    console.print(f"{most} adapters against the base model: {ratios} clients (goal on a GPU, with 16: at least 0.95)")
    console.print(f"{SLOTS + 1} adapters on {SLOTS} slots: {result.rows[-1].ratio:.2f} (goal on a GPU: at least 0.70)")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of the base model")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=["embedded"])
    parser.add_argument("--vllm-python", type=Path, help="the interpreter that has vLLM; by default this one")
    parser.add_argument("--rank", type=int, default=32, help="of the adapters, and the highest that the engine serves")
    parser.add_argument("--dtype", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--adapters", type=int, nargs="+", default=[1, 4, 16], help="how many are asked, beside none")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 32], help="how many ask at once")
    parser.add_argument("--tokens", type=int, default=64, help="length of an answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10, help="how long a configuration is measured in a round")
    parser.add_argument("--slots-seconds", type=float, default=30, help="the same, where adapters take turns in slots")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parser.parse_args()


def run(options: argparse.Namespace, folder: Path, console: Console) -> list[Result]:
    """Every engine, one after the other.

    Raises:
        IngrainError: an engine did not start, or failed.
    """
    count = max(*options.adapters, SLOTS + 1)
    files = [AdapterFiles(f"adapter-{number}", folder / f"adapter-{number}") for number in range(count)]
    engines: list[EngineName] = options.engines
    settings = [
        engine_settings(
            engine, options.model, max_loras=count, max_lora_rank=options.rank, vllm_python=options.vllm_python
        )
        for engine in engines
    ]
    make_adapters(options.model, options.rank, [each.folder for each in files])
    results = []
    with Progress(console=console, transient=True) as progress:
        for each in settings:
            with running_engine(each, options.dtype, folder) as url:
                plan = make_plan(options, files)
                results.append(asyncio.run(measure(each.engine, url, each.base_model_name, files, plan, progress)))
    return results


def main() -> None:
    options = parse()
    console = Console(width=140)
    try:
        with tempfile.TemporaryDirectory() as folder:
            results = run(options, Path(folder), console)
    except IngrainError as error:
        sys.exit(f"serving: {error.detail}")
    for result in results:
        print_result(result, console)
    if options.json:
        given: dict[str, Any] = {name: str(value) for name, value in vars(options).items()}
        options.json.write_text(json.dumps({"options": given, "engines": [asdict(each) for each in results]}, indent=1))


if __name__ == "__main__":
    main()
