"""Which parts an installation needs, with the commands and the environment that they run with."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.interpreter import module_command
from app.settings import Settings
from app.supervisor import broker, ports
from app.supervisor.part import Part

_CHECK_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the engine is, its key, and whether it is ours to start."""

    url: str
    port: int
    key: str
    is_ours: bool


def choose_engine(settings: Settings) -> Engine:
    """The engine that the settings name; otherwise one of our own, on a free port of this machine, with a fresh key."""
    key = settings.engine_api_key.get_secret_value() if settings.engine_api_key else ""
    if "engine_url" in settings.model_fields_set:
        return Engine(settings.engine_url, 0, key, is_ours=False)
    port = ports.free_port()
    return Engine(f"http://127.0.0.1:{port}", port, key or secrets.token_urlsafe(24), is_ours=True)


def make_parts(settings: Settings, engine: Engine, base_model: Path) -> list[Part]:
    """The parts to start, in this order; what the settings place elsewhere is not among them.

    Raises:
        ConfigurationError: the embedded broker is needed and not installed.
    """
    environment = _environment(settings, engine)
    logs = settings.home / "logs"
    parts = []

    if settings.redis_url is None:
        socket = broker.socket_path(settings)
        parts.append(
            Part(
                name="broker",
                command=broker.broker_command(settings, socket),
                environment=environment,
                address=str(socket),
                log=logs / "broker.log",
                check=lambda: broker.why_not_ready(socket),
            )
        )
        environment["INGRAIN_REDIS_URL"] = broker.broker_url(socket)
    if engine.is_ours:
        parts.append(
            Part(
                name="engine",
                command=engine_command(settings, base_model, "127.0.0.1", engine.port),
                environment=environment,
                address=engine.url,
                log=logs / "engine.log",
                check=lambda: why_not_ready(f"{engine.url}/health", engine.key),
            )
        )
    parts.append(
        Part(
            name="worker",
            command=module_command("worker.main"),
            environment=environment,
            address="",
            log=logs / "worker.log",
            grace_seconds=15.0 + settings.stop_grace_seconds,
        )
    )
    url = ports.url_of(settings.host, settings.port)
    parts.append(
        Part(
            name="api",
            command=module_command("app.cli", "api", "--host", settings.host, "--port", str(settings.port)),
            environment=environment,
            address=url,
            log=logs / "api.log",
            check=lambda: why_not_ready(f"{url}/readyz"),
        )
    )
    return parts


def engine_command(settings: Settings, base_model: Path, host: str, port: int) -> list[str]:
    """The command that runs the embedded engine."""
    options = {
        "model": str(base_model),
        "served-model-name": settings.base_model_name,
        "host": host,
        "port": str(port),
        "max-loras": str(settings.max_loras),
        "max-lora-rank": str(settings.max_lora_rank),
        "max-model-len": str(settings.max_model_length),
    }
    return module_command("worker.engine", *(w for name, value in options.items() for w in (f"--{name}", value)))


def why_not_ready(url: str, key: str | None = None) -> str | None:
    """Why `url`, which a part on this machine listens at, does not answer with success; None when it does."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(url, headers=headers, timeout=_CHECK_SECONDS, trust_env=False)  # no proxy leads back here
    except httpx.TransportError:
        return "no answer yet"
    if answer.is_success:
        return None
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"it answers with {answer.status_code}"


def _environment(settings: Settings, engine: Engine) -> dict[str, str]:
    # Threads that wait must not spin: engine and training share the cores, and spinning made a step take 15 s, not 1 s.
    return {"OMP_WAIT_POLICY": "PASSIVE", **os.environ} | {
        "PYTHONUNBUFFERED": "1",
        "INGRAIN_HOME": str(settings.home),
        "INGRAIN_HOST": settings.host,
        "INGRAIN_PORT": str(settings.port),
        "INGRAIN_BASE_MODEL": settings.base_model,
        "INGRAIN_BASE_MODEL_REVISION": settings.base_model_revision or "",
        "INGRAIN_ENGINE_URL": engine.url,
        "INGRAIN_ENGINE_API_KEY": engine.key,
    }
