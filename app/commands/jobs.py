"""`ingrain jobs`: what is being made, and stopping or retrying it."""

from enum import StrEnum
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from app.api_client import Json
from app.commands.following import describe
from app.commands.inject import failure_of, follow_to_the_end
from app.commands.shared import JsonOption, LimitOption, Screen, UrlOption, connect
from app.figures import duration

_COLOURS = {"succeeded": "green", "ready": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}


class Action(StrEnum):
    """What can be done to a job."""

    CANCEL = "cancel"
    RETRY = "retry"


def jobs(
    job_id: Annotated[str | None, typer.Argument(metavar="ID", help="One job; without it, all.")] = None,
    action: Annotated[
        Action | None, typer.Argument(metavar="cancel|retry", help="Stop it, or go on after its last finished stage.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Follow it until it has ended.")] = False,
    limit: LimitOption = 20,
    url: UrlOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the jobs, show one, follow it, cancel it or retry it.

    For example: ingrain jobs job_01… cancel
    """
    screen = Screen(as_json)
    with connect(url) as client:
        if job_id is None:
            _list(screen, client.list_all("/v1/jobs", limit))
            return
        if action is not None:
            job = client.cancel(job_id) if action is Action.CANCEL else client.retry(job_id)
        else:
            job = client.job(job_id)
        if follow:
            follow_to_the_end(client, job_id, screen, asked_as=job["adapter_id"])
        else:
            screen.data(job)
            _show(screen, job)


def coloured(status: str) -> str:
    """A status in its colour."""
    return f"[{_COLOURS.get(status, 'default')}]{status}[/]"


def _list(screen: Screen, found: list[Json]) -> None:
    for job in found:
        screen.data(job)
    if not found:
        screen.console.print("There are no jobs yet. Teach a document with: ingrain inject FILE")
        return
    table = Table("job", "status", "stage", "progress", "left", "adapter", "made", box=None, pad_edge=False)
    for job in found:
        left = "" if job["eta_seconds"] is None else duration(job["eta_seconds"])
        table.add_row(
            job["id"], coloured(job["status"]), job["stage"] or "", f"{job['progress']:.0%}", left, job["adapter_id"],
            moment(job["created_at"]),
        )  # fmt: skip
    screen.console.print(table)


def moment(time: str | None) -> str:
    """A time of the API for people, in UTC."""
    return (time or "")[:16].replace("T", " ")


def _show(screen: Screen, job: Json) -> None:
    console = screen.console
    console.print(f"[bold]{job['id']}[/]  {coloured(job['status'])}  {job['progress']:.0%}")
    degraded = " (degraded)" if job["degraded"] else ""
    console.print(f"adapter {job['adapter_id']}{degraded}, started {job['attempts']} times")
    table = Table("stage", "took", "found", box=None, pad_edge=False)
    for stage, seconds in job["timings"].items():
        table.add_row(stage, duration(seconds), escape(describe(job["summaries"].get(stage, {}))))
    if job["status"] == "running" and job["stage"]:
        left = "" if job["eta_seconds"] is None else f"about {duration(job['eta_seconds'])} left"
        table.add_row(job["stage"], "…", f"{job['done']} of {job['total']}  {left}")
    console.print(table)
    if job["error"]:
        console.print(failure_of(job), style="red", markup=False)
