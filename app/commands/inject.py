"""`ingrain inject`: teach a document, and see it being learnt."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.markup import escape

from app.api_client import IngrainClient, Json
from app.commands.following import follow_job
from app.commands.shared import INTERRUPTED, NOT_DONE, JsonOption, Screen, UrlOption, connect
from app.figures import duration
from app.jobs.settings import Effort


def inject(
    files: Annotated[
        list[typer.FileBinaryRead],
        typer.Argument(metavar="FILE...", help="Text or Markdown files; - reads standard input."),
    ],
    title: Annotated[str | None, typer.Option(help="The document's title. By default its first heading.")] = None,
    external_id: Annotated[
        str | None,
        typer.Option("--external-id", help="Your own id of the document; it replaces the one posted before."),
    ] = None,
    alias: Annotated[str | None, typer.Option(help="A name to ask the adapter by.")] = None,
    parent: Annotated[
        str | None, typer.Option(help="An adapter to go on from, by its id or alias: its pairs are rehearsed.")
    ] = None,
    effort: Annotated[Effort | None, typer.Option(help="How much time to spend for how much recall.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the job, by name. Repeatable."),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not follow the job.")] = False,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach the model a document, or several in one adapter, and follow the job until its adapter can be asked.

    With --json: the answer to each POST, then the job's events, then the job.
    """
    if len(files) > 1 and (title or external_id):
        raise typer.BadParameter("--title and --external-id are for one FILE.")
    settings = _read_settings(set_ or [])
    if effort is not None:
        settings["effort"] = effort.value
    screen = Screen(as_json)
    making: dict[str, Any] = {"alias": alias, "settings": settings, "parent": parent}
    with connect(url) as client:
        if len(files) == 1:
            taken = _post(client, files[0], title=title, external_id=external_id, **making)
        else:
            documents = [_post(client, file, make_adapter=False) for file in files]
            for document in documents:
                _show(screen, document)
            taken = client.create_adapter([document["document"]["id"] for document in documents], **making)
        with _leaving_the_job_alone(screen, taken["job"]["id"]):
            _show(screen, taken)
            if no_wait:
                screen.console.print(f"Follow its job with: ingrain jobs {taken['job']['id']} --follow")
            else:
                follow_to_the_end(client, taken["job"]["id"], screen, asked_as=alias or taken["adapter"]["id"])


def _post(client: IngrainClient, file: BinaryIO, **fields: Any) -> Json:
    name = "document.txt" if file.name in {"<stdin>", "-"} else Path(file.name).name
    return client.create_document(file.read(), name, **fields)


def _show(screen: Screen, taken: Json) -> None:
    """What was posted: a document, alone or with its adapter, or an adapter from documents that were shown already."""
    screen.data(taken)
    if document := taken.get("document"):
        screen.console.print(f"[bold]{escape(document['title'])}[/]: {document['words']} words")


def follow_to_the_end(client: IngrainClient, job_id: str, screen: Screen, asked_as: str) -> None:
    """Follow a job; say how to ask its adapter, or why there is none (then the exit code is 1)."""
    with _leaving_the_job_alone(screen, job_id):
        job = follow_job(client, job_id, screen)
    screen.data(job)
    if job["status"] != "succeeded":
        screen.console.print(failure_of(job), style="red", markup=False)
        screen.console.print(f"Go on after its last finished stage with: ingrain jobs {job_id} retry", markup=False)
        raise typer.Exit(NOT_DONE)
    if asked_as not in client.get(f"/v1/adapters/{job['adapter_id']}")["aliases"]:
        asked_as = job["adapter_id"]  # it is degraded, or a newer one has the alias
    took = duration(sum(job["timings"].values()))
    screen.console.print(f'[green]Ready[/] after {took}. Ask it:  [bold]ingrain ask {asked_as} "…"[/]')
    screen.console.print(f"How well it knows:  ingrain adapters {job['adapter_id']}", style="dim")


@contextmanager
def _leaving_the_job_alone(screen: Screen, job_id: str) -> Iterator[None]:
    """Ctrl-C ends the command, not the job: say so."""
    try:
        yield
    except KeyboardInterrupt:
        screen.console.print(f"\nThe job goes on. Follow it with: ingrain jobs {job_id} --follow")
        screen.console.print(f"Stop it with:                    ingrain jobs {job_id} cancel")
        raise typer.Exit(INTERRUPTED) from None


def failure_of(job: Json) -> str:
    """Why a job ended without an adapter."""
    error = job["error"]
    if not error:
        return f"The job was {job['status']}."
    return (
        f"The job failed in the stage {error.get('stage') or job['stage']}: {error.get('detail') or error.get('title')}"
    )


def _read_settings(assignments: list[str]) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE, as in --set epochs=4.", param_hint="--set")
        try:
            settings[key.strip()] = json.loads(value)
        except ValueError:
            settings[key.strip()] = value.strip()
    return settings
