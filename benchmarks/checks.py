"""What the checks of pairs would drop of the questions that people asked, and of a teacher's right answers to them.

    python -m benchmarks.checks --data FILE [--passages N] [--oracle answers-oracle.json]

Each question goes through the checks of a question that a model lists. With the answers of a model that had the right
passage in its prompt (the file of that name in the folder of a run of `benchmarks.squadshifts`), question and answer
also go through those of a greedy answer, as they are for a model that is led and for one that lists; how sure the model
was is not known here. A sound check drops no right answer. It needs no model.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from app.errors import ConfigurationError, IngrainError
from benchmarks.injection.answers import read_answers
from benchmarks.injection.data import Asked, Item, read_items
from benchmarks.injection.grading import grade
from worker.pairs.answering import LONGEST_ANSWER, Answering, settle
from worker.pairs.listing import checked
from worker.pairs.outline import Outline, outline_of
from worker.pairs.passages import Passage
from worker.pairs.writer import Completion
from worker.pairs.writing import OPEN, Question

KEPT: Final = "kept"
LED: Final = Answering(samples=0, temperature=0.0, longest=LONGEST_ANSWER, grounded=True)
LISTS: Final = Answering(samples=0, temperature=0.0, longest=LONGEST_ANSWER, grounded=True, spans=True)
WAYS: Final[Mapping[str, Answering]] = {"led": LED, "lists": LISTS}


def questions_by_reason(items: Sequence[Item]) -> Counter[str]:
    """How many questions are kept, and how many dropped, by reason."""
    return Counter(checked(_whole(asked), passage, outline)[1] or KEPT for passage, outline, asked in _each(items))


def answers_by_reason(
    items: Sequence[Item], said: Mapping[str, str], answering: Answering
) -> Counter[tuple[bool, str]]:
    """How many answers are kept, and how many dropped, by reason; those that are right, and the others.

    Args:
        items: the passages with their questions.
        said: the answers, by question.
        answering: how answers are taken.
    """
    counts: Counter[tuple[bool, str]] = Counter()
    for passage, outline, asked in _each(items):
        question = Question(passage.id, _whole(asked), OPEN, None)
        completion = Completion(said[asked.id], "stop")
        reason = settle(completion, question, passage, outline.subject, answering)[1]
        counts[bool(grade(said[asked.id], asked.answers).holds), reason or KEPT] += 1
    return counts


def _each(items: Sequence[Item]) -> Iterator[tuple[Passage, Outline, Asked]]:
    """Each question with its passage, whole, as a document of its own."""
    for item in items:
        passage = Passage(item.id, item.id, item.title, None, item.passage, item.passage)
        outline = outline_of([passage])
        yield from ((passage, outline, asked) for asked in item.questions)


def _whole(asked: Asked) -> str:
    """A question with its mark, which people forget."""
    return f"{asked.question.rstrip('? ')}?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="JSON lines with passages and questions")
    parser.add_argument("--passages", type=int, help="the first so many (all)")
    parser.add_argument("--oracle", type=Path, help="answers of a model that had the right passage in its prompt")
    options = parser.parse_args()
    console = Console(width=120)
    try:
        items = read_items(options.data, options.passages)
        _print(console, f"{options.data.stem}: questions", {"questions": questions_by_reason(items)})
        if options.oracle:
            said = read_answers(options.oracle).answers
            missing = [asked.id for item in items for asked in item.questions if asked.id not in said]
            if missing:
                raise ConfigurationError(
                    f"{options.oracle} has no answer to {len(missing)} of the questions, as {missing[0]}. Give the "
                    "answers-oracle.json of a run of benchmarks.squadshifts with the same --data and --passages."
                )
            columns = {}
            for name, answering in WAYS.items():
                counts = answers_by_reason(items, said, answering)
                for is_right, kind in ((True, "right"), (False, "other")):
                    columns[f"{kind}, {name}"] = Counter(
                        {reason: count for (right, reason), count in counts.items() if right is is_right}
                    )
            _print(console, f"{options.data.stem}: answers", columns)
    except IngrainError as error:
        console.print(f"[bold red]Error:[/] {error.detail}", highlight=False)
        sys.exit(1)


def _print(console: Console, title: str, columns: Mapping[str, Counter[str]]) -> None:
    """A table of reasons, the most frequent first: how many, and how many in a hundred of the column."""
    table = Table(title=title)
    table.add_column("")
    for heading in columns:
        table.add_column(heading, justify="right")
    together = sum(columns.values(), Counter[str]())
    for reason in sorted(together, key=lambda each: (each != KEPT, -together[each])):
        cells = (
            f"{counts[reason]} ({100 * counts[reason] / max(1, counts.total()):.1f} %)" for counts in columns.values()
        )
        table.add_row(reason, *cells)
    console.print(table)


if __name__ == "__main__":
    main()
