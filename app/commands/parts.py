"""`ingrain api`, `worker`, `engine` and `migrate`: one part alone, for installations over several machines."""

import os
import sys
from collections.abc import Mapping
from typing import Annotated

import typer

from app.commands.shared import EngineOption, Screen
from app.commands.up import NoticeBoard
from app.interpreter import module_command
from app.settings import get_settings
from app.supervisor.base_model import prepare_base_model
from app.supervisor.plan import engine_command, engine_environment
from app.supervisor.ports import check_port
from app.supervisor.vllm import check_vllm

_LAST_REQUESTS_SECONDS = 5


def api(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Run the API alone. Its tables must be up to date: run `ingrain migrate` first."""
    import uvicorn  # here, so that commands that only ask start quickly

    from app.auth import check_exposure

    settings = get_settings()
    host, port = host or settings.host, port or settings.port
    check_exposure(host, settings.api_keys)
    check_port(host, port)
    uvicorn.run(
        "app.main:create_app",
        factory=True,
        host=host.strip("[]"),
        port=port,
        log_level=settings.log_level.lower(),
        server_header=False,
        timeout_graceful_shutdown=_LAST_REQUESTS_SECONDS,
    )


def worker() -> None:
    """Run a worker alone: it makes adapters, one at a time. Start as many as you have GPUs."""
    get_settings()  # here, where a value that is not valid becomes a sentence
    _become(module_command("worker.main"), os.environ)


def engine(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8001,
    engine: EngineOption = None,
) -> None:
    """Run the engine alone, the embedded one or vLLM. Both speak the same dialect.

    Clients need the key in INGRAIN_ENGINE_API_KEY. Beyond 127.0.0.1 it must be set.
    """
    from app.auth import check_engine_exposure

    settings = get_settings()
    if engine:
        settings = settings.model_copy(update={"engine": engine})
    key = settings.engine_api_key.get_secret_value() if settings.engine_api_key else ""
    check_engine_exposure(host, settings.engine_api_key)
    if settings.engine == "vllm":
        check_vllm(settings)
    board = NoticeBoard(Screen(as_json=False))
    folder = prepare_base_model(settings, board.show).folder
    board.close()
    _become(engine_command(settings, folder, host, port), engine_environment(settings, key, os.environ))


def migrate() -> None:
    """Bring the database's tables up to date. Safe to run at any time, also by several machines at once."""
    from app.migrate import upgrade

    upgrade()
    Screen(as_json=False).console.print("The tables are up to date.")


def _become(command: list[str], environment: Mapping[str, str]) -> None:
    sys.stdout.flush()
    os.execve(command[0], command, environment)  # noqa: S606 (our own parts; signals go straight to them)
