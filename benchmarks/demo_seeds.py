"""The demo on several seeds, each in a service of its own: what the README claims, reproduced.

    python benchmarks/demo_seeds.py --seeds 0 1 2 [--model smollm2-135m] [--effort standard] [--json PATH]

Prints one row a seed. Nothing is selected: every seed that was asked for is reported, also one that failed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

STAGES = ("read", "ask", "answer", "distil", "examine", "publish")


def run_demo(model: str, effort: str, seed: int, extra: list[str]) -> dict[str, Any]:
    """One demo in a process of its own; what its `--json` wrote."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "demo.json"
        demo = [sys.executable, "-m", "app.cli", "demo", "--json", str(path)]
        subprocess.run(
            [*demo, "--seed", str(seed), "--effort", effort, *extra],
            env=os.environ | {"INGRAIN_BASE_MODEL": model},
            check=False,
        )
        if not path.exists():
            return {"seed": seed, "failed": True}
        result: dict[str, Any] = json.loads(path.read_text())
        return {"seed": seed} | result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m", help="base model: a name, a folder or a Hugging Face id")
    parser.add_argument("--effort", default="standard")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("demo_options", nargs="*", help="options passed on to `ingrain demo`, after --")
    options = parser.parse_args()

    rows = [run_demo(options.model, options.effort, seed, options.demo_options) for seed in options.seeds]
    table = Table(title=f"ingrain demo: {options.model}, effort {options.effort}")
    for heading in ("seed", "base", "teacher", "adapter", "general before", "after", "pairs", *STAGES, "total s"):
        table.add_column(heading, justify="right")
    for row in rows:
        if row.get("failed"):
            table.add_row(str(row["seed"]), "failed")
            continue
        asked, seconds = row["questions"], row["seconds"]
        scores = [f"{row[name]}/{asked}" for name in ("base_right", "teacher_right", "adapter_right")]
        general = [str(row["general_before"]), str(row["general_after"])]
        times = [f"{seconds.get(stage, 0):.0f}" for stage in STAGES]
        table.add_row(str(row["seed"]), *scores, *general, str(row["pairs"]), *times, f"{seconds['total']:.0f}")
    Console(width=140).print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))
    sys.exit(any(row.get("failed") for row in rows))


if __name__ == "__main__":
    main()
