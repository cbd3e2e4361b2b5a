"""`ingrain adapters`: what can be asked, and how well it knows."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.api_client import Json
from app.commands.jobs import coloured, moment
from app.commands.shared import JsonOption, LimitOption, Screen, UrlOption, connect
from app.jobs import floors


def adapters(
    adapter_id: Annotated[str | None, typer.Argument(metavar="ID", help="One adapter; without it, all.")] = None,
    items: Annotated[bool, typer.Option("--items", help="Show each question of its report.")] = False,
    limit: LimitOption = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the adapters, or show one with its report: what it answers right, closed-book, and what else changed."""
    screen = Screen(as_json)
    with connect(url) as client:
        if adapter_id is None:
            _list(screen, client.list_all("/v1/adapters", limit))
            return
        adapter = client.get(f"/v1/adapters/{adapter_id}")
        report = client.get(f"/v1/adapters/{adapter_id}/report") if adapter["status"] == "ready" else None
    screen.data({**adapter, "report": report})
    _show(screen.console, adapter)
    if report:
        _show_report(screen.console, report, items)


def _list(screen: Screen, found: list[Json]) -> None:
    for adapter in found:
        screen.data(adapter)
    if not found:
        screen.console.print("There are no adapters yet. Make one with: ingrain inject FILE")
        return
    table = Table("adapter", "status", "aliases", "documents", "base model", "made", box=None, pad_edge=False)
    for adapter in found:
        titles = ", ".join(document["title"] for document in adapter["documents"])
        table.add_row(
            adapter["id"], _status(adapter), ", ".join(adapter["aliases"]), escape(titles),
            escape(adapter["base_model"]), moment(adapter["created_at"]),
        )  # fmt: skip
    screen.console.print(table)


def _status(adapter: Json) -> str:
    return coloured(adapter["status"]) + (", [yellow]degraded[/]" if adapter["degraded"] else "")


def _show(console: Console, adapter: Json) -> None:
    console.print(f"[bold]{adapter['id']}[/]  {_status(adapter)}  {', '.join(adapter['aliases'])}")
    for failed in adapter["failed_floors"]:
        console.print(f"  {floors.sentence_of(failed)}", style="yellow", markup=False)
    for document in adapter["documents"]:
        console.print(f"  {document['id']}  {escape(document['title'])}")
    settings = ", ".join(f"{name} {value}" for name, value in adapter["settings"].items() if value is not None)
    console.print(f"  base model {escape(adapter['base_model'])}; {settings}", style="dim")
    if adapter["sha256"]:
        console.print(f"  {adapter['size_bytes'] / 1e6:.1f} MB, sha256 {adapter['sha256']}", style="dim")
    if adapter["status"] != "ready":
        console.print(f"  Its job: ingrain jobs {adapter['job']['id']}")


def _show_report(console: Console, report: Json, with_items: bool) -> None:
    table = Table("held-out questions", "right", "of", box=None, pad_edge=False)
    labels = {
        "base": "base model, closed-book",
        "teacher": "teacher, passage in its prompt",
        "adapter": "adapter, closed-book",
    }
    for name, score in report.get("recall", {}).items():
        table.add_row(labels.get(name, name), str(score["right"]), str(score["of"]))
    console.print(table)
    if retention := report.get("retention"):
        _show_retention(console, retention, with_items)
    if with_items:
        answers = Table("question", "expected", "base", "teacher", "adapter", show_lines=True)
        for item in report.get("items", []):
            given = [_marked(item[name]) for name in ("base", "teacher", "adapter")]
            answers.add_row(escape(item["question"]), escape(item["expected"]), *given)
        console.print(answers)


def _show_retention(console: Console, found: Json, with_lost: bool) -> None:
    lost = f"{len(found['lost'])} that the base model has right it has wrong"
    console.print(
        f"Of {found['prompts']} general questions the base model answers {found['base_right']} right, the adapter "
        f"{found['adapter_right']}; {lost}."
    )
    drift = found["drift"]["nats"]
    console.print(f"Drift on unrelated prompts: {drift:.4f} nats a token (0: as the base model)")
    if with_lost and found["lost"]:
        table = Table("lost general question", "base", "adapter", show_lines=True)
        for each in found["lost"]:
            table.add_row(*(escape(" ".join(each[name].split())) for name in ("question", "base", "adapter")))
        console.print(table)


def _marked(answer: Json) -> str:
    text = escape(" ".join(str(answer.get("answer", "")).split()))
    return f"[green]✓ {text}[/]" if answer["right"] else f"[red]✗ {text}[/]"
