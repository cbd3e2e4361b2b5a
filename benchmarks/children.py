"""What a child still knows of what its parent learnt, by how much it rehearses.

    python -m benchmarks.children --rehearsals 2 0 [--data benchmarks/data/invented.jsonl] [--model smollm2-135m]
        [--effort standard] [--seed 0] [--json PATH]

Runs a service of its own, teaches it the first document of the data (all passages of one title), and then, for each
rehearsal, makes a child of that adapter which learns the second document. Prints what each adapter answers closed-book
to the data's questions on both documents, and what its report says of held-out questions, new and old, and of 200
general ones.
"""

import argparse
import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from app.api_client import ClientError, IngrainClient, Json
from app.commands.following import follow_job
from app.commands.inject import failure_of
from app.commands.shared import Screen
from app.demo.exam import ask_all, count_right
from app.demo.questions import Question
from app.demo.service import demo_home, demo_service
from app.errors import ConfigurationError, IngrainError
from app.jobs.settings import Effort
from app.settings import get_settings
from benchmarks.injection.data import Item, read_items
from benchmarks.injection.intervals import Estimate, gained, lost_points
from benchmarks.injection.steps import be_quiet, say


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).with_name("data") / "invented.jsonl")
    parser.add_argument("--model", default="smollm2-135m", help="base model: a name, a folder or a Hugging Face id")
    parser.add_argument("--effort", type=Effort, default=Effort.STANDARD)
    parser.add_argument(
        "--rehearsals", type=float, nargs="+", default=[2.0, 0.0], help="the parent's pairs, by new one"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="further settings of the jobs")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args()
    be_quiet()
    os.environ["INGRAIN_BASE_MODEL"] = options.model
    console = Console(width=140)
    try:
        rows = measure(options)
    except (ClientError, IngrainError) as error:
        console.print(f"[bold red]Error:[/] {error}", highlight=False)
        sys.exit(1)
    table = Table(title=f"{Path(options.model).name}, {options.effort}: what a child knows of two documents")
    for heading in ("adapter", "first", "second", "held out, new", "held out, old", "general, points", "drift", "s"):
        table.add_column(heading, justify="left" if heading == "adapter" else "right")
    for row in rows:
        cells = [row["first"], row["second"], row["new"], row["old"], gained(Estimate(**row["lost_points"]))]
        table.add_row(row["adapter"], *cells, f"{row['drift']:.3f}", f"{row['seconds']:.0f}")
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2))


def measure(options: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for the parent, and one for each child."""
    documents = by_title(read_items(options.data, None))
    if len(documents) < 2:
        raise ConfigurationError(f"{options.data} has one title; a child needs a second document.")
    (first, first_asked), (second, second_asked), *_ = documents.items()
    given = dict(text.partition("=")[::2] for text in options.set)
    settings = {"effort": options.effort.value, "seed": options.seed, **given}

    def row(client: IngrainClient, name: str, taken: Json, began: float) -> dict[str, Any]:
        job = follow_job(client, taken["job"]["id"], Screen(as_json=False))
        if job["status"] != "succeeded":
            raise ClientError(failure_of(job))
        seconds, adapter = time.monotonic() - began, job["adapter_id"]
        report = client.get(f"/v1/adapters/{adapter}/report")
        old = report.get("old")
        return {
            "adapter": name,
            "first": _right(client, adapter, first_asked),
            "second": _right(client, adapter, second_asked),
            "new": _told(report["recall"]["adapter"]),
            "old": _told(old["recall"]["adapter"]) if old else "-",
            "lost_points": lost_points([report["retention"]]).as_json(),
            "drift": report["retention"]["drift"]["nats"],
            "seconds": seconds,
            "id": adapter,
        }

    with (
        demo_home(get_settings(), keep=False) as home,
        demo_service(home, lambda notice: say(notice.message), options.effort) as url,
        IngrainClient(url) as client,
    ):
        began = time.monotonic()
        taken = client.create_document(_text(first, documents), "first.md", title=first, settings=settings)
        rows = [row(client, "parent", taken, began)]
        say(f"{rows[-1]}")
        for rehearsal in options.rehearsals:
            began = time.monotonic()
            own = {**settings, "rehearsal": rehearsal}
            taken = client.create_document(
                _text(second, documents), "second.md", title=second, settings=own, parent=rows[0]["id"]
            )
            rows.append(row(client, f"child, rehearsal {rehearsal:g}", taken, began))
            say(f"{rows[-1]}")
    return rows


def by_title(items: list[Item]) -> dict[str, list[Item]]:
    """The passages of each document, in order."""
    found: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.title].append(item)
    return dict(found)


def _text(title: str, documents: dict[str, list[Item]]) -> bytes:
    passages = "\n\n".join(item.passage for item in documents[title])
    return f"# {title}\n\n{passages}\n".encode()


def _right(client: IngrainClient, adapter: str, items: list[Item]) -> str:
    asked = [Question(each.question, each.answers) for item in items for each in item.questions]
    return f"{count_right(ask_all(client, adapter, asked))}/{len(asked)}"


def _told(figure: Json) -> str:
    return f"{figure['right']}/{figure['of']}"


if __name__ == "__main__":
    main()
