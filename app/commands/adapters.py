"""`ingrain adapters`: what can be asked, and how well it knows."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.api_client import Json
from app.commands.jobs import coloured, moment
from app.commands.report import report_of, show_items, show_recall, show_retention
from app.commands.shared import JsonOption, LimitOption, Screen, UrlOption, connect
from app.jobs import floors


def adapters(
    word: Annotated[
        str | None, typer.Argument(metavar="ID|report", help="One adapter; without it, all; or the word report.")
    ] = None,
    adapter_name: Annotated[
        str | None, typer.Argument(metavar="ADAPTER", help="After report: whose, by its id or an alias.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Save the report as a page, for a browser.")
    ] = None,
    items: Annotated[bool, typer.Option("--items", help="Show each question of its report.")] = False,
    limit: LimitOption = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the adapters, or show one with its report: what it answers right, closed-book, and what else changed.

    For all of the report, with what the adapter missed: ingrain adapters report ADAPTER
    """
    wants_report = word == "report"
    if wants_report != (adapter_name is not None) or (html and not wants_report):
        raise typer.BadParameter("Write: ingrain adapters [ID], or ingrain adapters report ADAPTER [--html FILE]")
    screen = Screen(as_json)
    with connect(url) as client:
        if adapter_name is not None:
            report_of(client, adapter_name, screen, html)
            return
        if word is None:
            _list(screen, client.list_all("/v1/adapters", limit))
            return
        adapter = client.get(f"/v1/adapters/{word}")
        report = client.get(f"/v1/adapters/{word}/report") if adapter["status"] == "ready" else None
    screen.data({**adapter, "report": report})
    _show(screen.console, adapter)
    if report:
        show_recall(screen.console, report)
        show_retention(screen.console, report)
        if items:
            show_items(screen.console, report)


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
