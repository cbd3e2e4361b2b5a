"""What the commands share: options, where the service is, and what goes to which stream.

With `--json`, standard output holds JSON lines and nothing else; everything for people goes to standard error.
"""

import json
import os
import sys
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from app.api_client import IngrainClient
from app.settings import get_settings
from app.supervisor.lock import running_url
from app.supervisor.ports import url_of

NOT_DONE, USAGE, UNREACHABLE, REFUSED, INTERRUPTED = 1, 2, 3, 4, 130
"""Exit codes, besides 0: it failed; the command line is wrong; no service answers; the service refused; Ctrl-C."""

JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON lines to standard output, for machines.")]
UrlOption = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="INGRAIN_URL",
        help="Where the service answers. By default the one that runs on this machine.",
        show_default=False,
    ),
]
EngineOption = Annotated[
    Literal["embedded", "vllm"] | None,
    typer.Option("--engine", help="The engine to start.  [default: INGRAIN_ENGINE, or embedded]", show_default=False),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many to show, newest first.")]

_PLAIN_WIDTH = 120


class Screen:
    """Where a command writes."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        stream = sys.stderr if as_json else sys.stdout
        width = None if stream.isatty() else int(os.environ.get("COLUMNS", _PLAIN_WIDTH))
        self.console = Console(file=stream, width=width, highlight=False, soft_wrap=False)

    def data(self, content: Any) -> None:
        """One JSON line, where machines read."""
        if self.as_json:
            sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")
            sys.stdout.flush()


def connect(url: str | None) -> IngrainClient:
    """A client of the service at `url`, or of the one that runs on this home folder, or at the default address."""
    settings = get_settings()
    keys = settings.api_keys
    key = os.environ.get("INGRAIN_API_KEY") or (keys[0].get_secret_value() if keys else None)
    return IngrainClient(url or running_url(settings.home) or url_of(settings.host, settings.port), key)
