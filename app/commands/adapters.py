"""`ingrain adapters`: what can be asked, and how well it knows."""

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.api_client import Json
from app.commands.jobs import coloured, moment
from app.commands.shared import JsonOption, LimitOption, Screen, UrlOption, connect


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
            adapter["id"], coloured(adapter["status"]), ", ".join(adapter["aliases"]), escape(titles),
            escape(adapter["base_model"]), moment(adapter["created_at"]),
        )  # fmt: skip
    screen.console.print(table)


def _show(console: Console, adapter: Json) -> None:
    console.print(f"[bold]{adapter['id']}[/]  {coloured(adapter['status'])}  {', '.join(adapter['aliases'])}")
    for document in adapter["documents"]:
        stale = "  [yellow]replaced[/]" if document["id"] in adapter["stale_documents"] else ""
        console.print(f"  {document['id']}  {escape(document['title'])}{stale}")
    if adapter["parent"]:
        console.print(f"  goes on from {adapter['parent']}")
    settings = ", ".join(f"{name} {value}" for name, value in adapter["settings"].items() if value is not None)
    console.print(f"  base model {escape(adapter['base_model'])}; {settings}", style="dim")
    if adapter["sha256"]:
        console.print(f"  {adapter['size_bytes'] / 1e6:.1f} MB, sha256 {adapter['sha256']}", style="dim")
    if adapter["status"] != "ready":
        console.print(f"  Its job: ingrain jobs {adapter['job']['id']}")


def _show_report(console: Console, report: Json, with_items: bool) -> None:
    console.print(_recall_table("held-out questions", report.get("recall", {})))
    if "old" in report:
        console.print(_recall_table("of what it rehearsed", report["old"]["recall"]))
    if report.get("drift") is not None:
        console.print(f"Drift on unrelated prompts: {report['drift']:.4f} nats a token (0: as the base model)")
    if with_items:
        answers = Table("question", "expected", "base", "teacher", "adapter", show_lines=True)
        for item in report.get("items", []):
            given = [_marked(item[name]) for name in ("base", "teacher", "adapter")]
            answers.add_row(escape(item["question"]), escape(item["expected"]), *given)
        console.print(answers)


def _recall_table(questions: str, recall: Json) -> Table:
    table = Table(questions, "right", "of", box=None, pad_edge=False)
    labels = {
        "base": "base model, closed-book",
        "teacher": "teacher, passage in its prompt",
        "adapter": "adapter, closed-book",
        "parent": "parent, as its report tells",
    }
    for name, score in recall.items():
        table.add_row(labels.get(name, name), str(score["right"]), str(score["of"]))
    return table


def _marked(answer: Json) -> str:
    text = escape(" ".join(str(answer.get("answer", "")).split()))
    return f"[green]✓ {text}[/]" if answer["right"] else f"[red]✗ {text}[/]"
