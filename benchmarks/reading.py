"""Does an adapter still read? How far it is from its base model where the answer stands in the prompt.

    python -m benchmarks.reading --data FILE --model MODEL --adapters FOLDER … [--passages-read 2] [--json PATH]

Each question of the data (as of `squadshifts.py`, and of documents that the adapters do not know) is put below the
passages that BM25 finds for it; the base model answers, and each adapter is measured at the tokens of these answers.
FOLDER is an adapter in PEFT's layout, as `GET /v1/adapters/{id}/download` gives it. Prints a row an adapter.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError, IngrainError
from app.retrieval.ranking import Ranker
from benchmarks.injection.data import read_items
from benchmarks.injection.steps import be_quiet, say
from worker.base_model import resolve_base_model
from worker.device import choose_device, choose_dtype
from worker.distillation import drift, retention
from worker.distillation.generation import answers_to
from worker.distillation.prompts import beside
from worker.distillation.student import load_student, use_all_cores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="JSON lines with passages and questions")
    parser.add_argument("--model", required=True, help="base model: smollm2-135m, a folder or a Hugging Face id")
    parser.add_argument("--adapters", type=Path, nargs="+", required=True, help="folders of adapters")
    parser.add_argument("--passages", type=int, help="the first so many (all)")
    parser.add_argument("--passages-read", type=int, default=2, help="passages in a prompt")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    be_quiet()
    console = Console(width=140)
    try:
        rows = measure(options)
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)
    table = Table(
        title=f"{options.data.stem}: from the base model, with {options.passages_read} passages in the prompt"
    )
    for heading in ("adapter", "nats a token", "same first choice", "tokens"):
        table.add_column(heading, justify="left" if heading == "adapter" else "right")
    for name, moved in rows.items():
        table.add_row(name, f"{moved.nats:.4f}", f"{100 * moved.same_first_choice:.1f} %", str(moved.tokens))
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps({name: asdict(moved) for name, moved in rows.items()}, indent=2))


def measure(options: argparse.Namespace) -> dict[str, drift.Drift]:
    """How far each adapter is from the base model.

    Raises:
        ConfigurationError: the data, the base model or an adapter cannot be read.
    """
    use_all_cores()
    items = read_items(options.data, options.passages)
    texts = [item.shown for item in items]
    ranker = Ranker(texts, "bm25")
    prompts = []
    for item in items:
        for asked in item.questions:
            found = [texts[index] for index, _ in ranker.best(asked.question, options.passages_read)]
            prompts.append(beside("\n\n".join(found), asked.question, briefly=False))
    device = choose_device()
    rows: dict[str, drift.Drift] = {}
    kept: list[retention.Kept] = []
    base = resolve_base_model(options.model, Path.home() / ".cache" / "ingrain")
    for folder in options.adapters:
        if not (folder / "adapter_config.json").is_file():
            raise ConfigurationError(f"{folder} holds no adapter: adapter_config.json is not there (--adapters).")
        student = load_student(base.folder, folder, device, choose_dtype(device))
        if not kept:  # the base model answers alike below each adapter
            with student.as_base():
                answers = answers_to(student, prompts, retention.MOST_TOKENS)
            kept = retention.keep(student, prompts, answers)
        rows[str(folder)] = drift.measure(student, kept)
        say(f"{folder}: measured")
    return rows


if __name__ == "__main__":
    main()
