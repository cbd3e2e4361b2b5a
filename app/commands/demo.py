"""`ingrain demo`: the whole of it in one command, on something that no model can know."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.api_client import IngrainClient, Json
from app.commands.following import follow_job
from app.commands.inject import failure_of
from app.commands.shared import INTERRUPTED, NOT_DONE, EngineOption, Screen
from app.commands.up import NoticeBoard
from app.demo.exam import After, Before, ask_all, result, with_document
from app.demo.questions import Exam, read_exam
from app.demo.service import demo_home, demo_service
from app.demo.tables import show_general, show_recall, show_times
from app.errors import ConfigurationError
from app.jobs.settings import Effort
from app.settings import get_settings

_ALIAS = "demo"
_MOST_PAIRS = 100_000


def demo(
    effort: Annotated[Effort, typer.Option(help="How much time to spend for how much recall.")] = Effort.STANDARD,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed of sampling and training.")] = 0,
    document: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="A document of your own.")] = None,
    questions: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Questions about it, as app/demo/questions.json.")
    ] = None,
    engine: EngineOption = None,
    json_path: Annotated[
        Path | None, typer.Option("--json", metavar="PATH", help="Also write the results here.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the demo's service folder, to ask the adapter more.")
    ] = False,
) -> None:
    """Teach the model a bundled document about something invented, and show what it learnt.

    Runs a service of its own on a free port, beside any other; the base model is prepared once and kept.
    """
    settings = get_settings()
    if document and not questions:
        raise ConfigurationError(
            "A document of your own needs questions of your own: give both --document and --questions."
        )
    exam = read_exam(document, questions)
    if json_path and not json_path.parent.is_dir():
        raise ConfigurationError(f"The folder of {json_path} does not exist.")
    screen = Screen(as_json=False)
    console, board = screen.console, NoticeBoard(screen)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # so that everything below is undone

    console.print(f"[bold]Ingrain's demo[/] with {settings.base_model_name}")
    try:
        with demo_home(settings, keep) as home:
            with demo_service(home, board.show, effort, engine) as url, IngrainClient(url) as client:
                board.close()
                outcome = _run(client, exam, screen, effort, seed)
            if json_path:
                json_path.write_text(json.dumps(outcome, indent=2) + "\n")
            _show_next_steps(console, home if keep else None, outcome["adapter"])
    except KeyboardInterrupt:
        console.print("\nStopped; nothing is left running.")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        board.close()


def _run(client: IngrainClient, exam: Exam, screen: Screen, effort: Effort, seed: int) -> Json:
    """The demo, on a service that is ready; what `--json` writes, and the adapter's id."""
    console, base_model = screen.console, client.base_model()
    console.print(f"\n[bold]1[/]  {len(exam.questions)} questions about the document, before it was taught")
    before = Before(
        base=ask_all(client, base_model, exam.questions),
        teacher=ask_all(client, base_model, exam.questions, with_document(exam.document)),
        general=ask_all(client, base_model, exam.general),
    )

    console.print(f"\n[bold]2[/]  Teaching it {len(exam.document.split())} words")
    started = time.monotonic()
    settings = {"effort": effort.value, "seed": seed}
    taken = client.create_document(exam.document.encode(), "demo.md", alias=_ALIAS, settings=settings)
    job = follow_job(client, taken["job"]["id"], screen)
    seconds = job["timings"] | {"total": time.monotonic() - started}
    if job["status"] != "succeeded":
        console.print(failure_of(job), style="red", markup=False)
        raise typer.Exit(NOT_DONE)

    console.print("\n[bold]3[/]  The same questions, now without the document\n")
    adapter = job["adapter_id"]  # not its alias, which it does not get if it is degraded
    after = After(adapter=ask_all(client, adapter, exam.questions), general=ask_all(client, adapter, exam.general))
    pairs = len(client.list_all(f"/v1/adapters/{adapter}/pairs", _MOST_PAIRS))
    show_recall(console, exam.questions, before, after)
    show_general(console, exam.general, before, after)
    show_times(console, seconds, pairs)
    outcome = result(
        before, after, seconds=seconds, pairs=pairs, model=base_model, seed=seed, effort=effort.value
    )  # fmt: skip
    return outcome | {"adapter": adapter, "degraded": job["degraded"]}


def _show_next_steps(console: Console, kept: Path | None, adapter: str) -> None:
    program = "ingrain" if shutil.which("ingrain") else os.path.relpath(sys.argv[0])
    console.print("\n[bold]What to try next[/]")
    steps = {
        f"{program} up": "the service, until Ctrl-C",
        f"{program} inject FILE --alias NAME": "teach it a document of yours, from another terminal",
        f'{program} ask NAME "…" --stream': "ask it",
        f"INGRAIN_BASE_MODEL=Qwen/Qwen2.5-1.5B-Instruct {program} demo": "the same with a larger model",
    }
    if kept:
        steps = {
            f"INGRAIN_HOME={kept} {program} up": "the demo's service again",
            f"INGRAIN_HOME={kept} {program} adapters {adapter}": "its report, from another terminal",
        } | steps
    width = max(map(len, steps))
    for command, what in steps.items():
        console.print(f"  {command:<{width}}   [dim]{what}[/]", soft_wrap=True)
