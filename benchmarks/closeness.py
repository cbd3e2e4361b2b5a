"""How much an adapter knows of a question, by how close the nearest pair comes to it.

    python -m benchmarks.closeness --data FILE --work FOLDER [--passages N] [--seed 0]

Of a run of `benchmarks.squadshifts` in that folder: the questions that the oracle has right, by the likeness of the
most alike question among the pairs of their passage whose answer holds a right answer (cosine of their vectors, as
retrieval and the near-copy check have it), and how many of them each method has right.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError, IngrainError
from benchmarks.injection.answers import read_answers
from benchmarks.injection.data import Item, read_items
from benchmarks.injection.grading import grade
from benchmarks.injection.pairs import ANSWERED, read_pairs
from worker.likeness import likeness
from worker.pairs.records import passages_from

BORDERS: Final = (0.4, 0.6, 0.8)
"""Between the classes of likeness."""
NONE: Final = "no pair"


def class_of(most_alike: float | None) -> str:
    """The class of the likeness of the nearest pair; None: no pair's answer holds a right answer."""
    if most_alike is None:
        return NONE
    below = [border for border in BORDERS if border <= most_alike]
    above = [border for border in BORDERS if border > most_alike]
    return f"{below[-1] if below else -1:g} to {above[0] if above else 1:g}"


def counted(
    items: Sequence[Item], pairs: Mapping[str, Sequence[dict[str, Any]]], answers: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, int]]:
    """By class: `questions` that the oracle has right, and how many of them each other method has right.

    Args:
        items: the passages with their questions.
        pairs: those that were trained on, by the passage's id.
        answers: by method and question; among the methods is the oracle.
    """
    counts: defaultdict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(["questions", *answers], 0))
    for item in items:
        for asked in item.questions:
            right = {name: grade(said[asked.id], asked.answers).holds for name, said in answers.items()}
            if not right["oracle"]:
                continue
            holding = [
                pair["question"] for pair in pairs.get(item.id, ()) if grade(pair["answer"], asked.answers).holds
            ]
            found = counts[class_of(max((likeness(each, asked.question) for each in holding), default=None))]
            found["questions"] += 1
            for name, is_right in right.items():
                found[name] += is_right > 0
    return dict(counts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="JSON lines with passages and questions")
    parser.add_argument("--work", type=Path, required=True, help="the folder of a run of benchmarks.squadshifts")
    parser.add_argument("--passages", type=int, help="the first so many, as in that run (all)")
    parser.add_argument("--seed", type=int, default=0, help="of which its pairs and adapters are (0)")
    options = parser.parse_args()
    console = Console(width=120)
    try:
        items = read_items(options.data, options.passages)
        answers = _answers(options.work, options.seed, {asked.id for item in items for asked in item.questions})
        counts = counted(items, _pairs(options.work / f"seed-{options.seed}" / "pairs"), answers)
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)
    names = [name for name in answers if name != "oracle"]
    table = Table(title=f"{options.data.stem}: right of the questions that the oracle has right, %")
    for heading in ("likeness of the nearest pair", "questions", *names):
        table.add_column(heading, justify="right")
    for name in sorted(counts, key=lambda each: (each != NONE, each)):
        found = counts[name]
        shares = (f"{100 * found[each] / found['questions']:.0f}" for each in names)
        table.add_row(name, str(found["questions"]), *shares)
    console.print(table)


def _answers(work: Path, seed: int, questions: Collection[str]) -> dict[str, dict[str, str]]:
    """The answers of a run, of each method that has all of them."""
    files = {name: work / f"answers-{name}.json" for name in ("oracle", "rag")}
    files |= {name: work / f"seed-{seed}" / f"answers-{name}-all.json" for name in ("sft", "pd", "pd+rag")}
    answers = {name: read_answers(file).answers for name, file in files.items()}
    whole = {name: said for name, said in answers.items() if said.keys() >= set(questions)}
    if "oracle" not in whole or len(whole) < 2:
        raise ConfigurationError(
            f"{work} has no run with the oracle's answers and another method's to all {len(questions)} questions of "
            f"seed {seed}. Run benchmarks.squadshifts with the same --data, --passages and --work first."
        )
    return whole


def _pairs(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The pairs that a run trained on, by their passages' ids."""
    if not (folder / ANSWERED).is_file():
        raise ConfigurationError(f"{folder} has no pairs: that run has trained nothing.")
    documents = {passage.id: passage.document_id for passage in passages_from(folder / "read" / "passages.jsonl")}
    pairs: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for pair in read_pairs(folder):
        if pair["split"] == "train":
            pairs[documents[pair["passage_id"]]].append(pair)
    return dict(pairs)


if __name__ == "__main__":
    main()
