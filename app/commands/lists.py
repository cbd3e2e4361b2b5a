"""`ingrain models` and `ingrain documents`."""

from rich.markup import escape
from rich.table import Table

from app.commands.jobs import moment
from app.commands.shared import JsonOption, LimitOption, Screen, UrlOption, connect


def models(url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List every name that can be asked: the base model, aliases, and adapters that are ready."""
    screen = Screen(as_json)
    with connect(url) as client:
        found = client.get("/v1/models")["data"]
    table = Table("ask it as", "is", "made from", box=None, pad_edge=False)
    for model in found:
        screen.data(model)
        kind = "base model" if model["parent"] is None else "adapter" if model["root"] == model["id"] else model["root"]
        table.add_row(escape(model["id"]), escape(kind), escape(model["parent"] or ""))
    screen.console.print(table)


def documents(limit: LimitOption = 20, url: UrlOption = None, as_json: JsonOption = False) -> None:
    """List the documents that were taught."""
    screen = Screen(as_json)
    with connect(url) as client:
        found = client.list_all("/v1/documents", limit)
    for document in found:
        screen.data(document)
    if not found:
        screen.console.print("There are no documents yet. Teach one with: ingrain inject FILE")
        return
    table = Table("document", "title", "external id", "words", "posted", "", box=None, pad_edge=False)
    for document in found:
        row = (document["id"], escape(document["title"]), escape(document["external_id"] or ""))
        state = "replaced" if document["replaced_by"] else ""
        table.add_row(*row, str(document["words"]), moment(document["created_at"]), state)
    screen.console.print(table)
