"""The `ingrain` command, assembled from `app.commands`. Errors end here: what to do about them, and an exit code."""

import sys

import typer
from pydantic import ValidationError
from rich.console import Console

from app.api_client import ClientError, Refused, ServiceUnreachable
from app.commands import adapters, ask, demo, inject, jobs, lists, parts, up
from app.commands.shared import NOT_DONE, REFUSED, UNREACHABLE, USAGE
from app.errors import ConfigurationError

app = typer.Typer(
    name="ingrain",
    help="Teach a language model your documents: a document goes in, an adapter comes out, and it answers.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 no service answers, 4 the service refused.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EVERY_DAY, _PARTS = "Every day", "One part alone, for installations over several machines"
for command in (up.up, demo.demo, inject.inject, ask.ask, jobs.jobs, adapters.adapters, lists.models, lists.documents):
    app.command(rich_help_panel=_EVERY_DAY)(command)
for part in (parts.api, parts.worker, parts.engine, parts.migrate):
    app.command(rich_help_panel=_PARTS)(part)


def main() -> None:
    """Run the command line."""
    try:
        app(prog_name="ingrain")
    except ServiceUnreachable as error:
        _fail(f"{error} Start the service with: ingrain up", UNREACHABLE)
    except Refused as error:
        _fail(f"{error}{_hint(error)}", REFUSED)
    except ConfigurationError as error:
        _fail(error.detail, USAGE)
    except ValidationError as error:
        problems = (f"INGRAIN_{str(item['loc'][0]).upper()}: {item['msg']}." for item in error.errors())
        _fail("The configuration is not valid. " + " ".join(problems), USAGE)
    except ClientError as error:
        _fail(str(error), NOT_DONE)


def _hint(error: Refused) -> str:
    if error.type == "unauthorized":
        return " Give it with INGRAIN_API_KEY."
    return ""


def _fail(message: str, code: int) -> None:
    console = Console(stderr=True, highlight=False)
    console.print("[bold red]Error:[/] ", end="")
    console.print(message, markup=False, soft_wrap=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
