"""Which parts an installation needs, with the commands and the environment that they run with."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.errors import ConfigurationError
from app.interpreter import module_command
from app.settings import Settings
from app.supervisor import broker, ports
from app.supervisor.part import Part
from app.supervisor.vllm import check_vllm, vllm_command, vllm_environment

_CHECK_SECONDS = 5.0
_VLLM_GRACE_SECONDS = 30.0  # it ends its own processes first, which free the GPU


@dataclass(frozen=True, slots=True)
class Engine:
    """Where the engine is, its key, and whether it is ours to start."""

    url: str
    port: int
    key: str
    is_ours: bool


def check_engine(settings: Settings) -> None:
    """Make sure that it is clear which engine to use, and that it can be started if it is ours to start.

    Raises:
        ConfigurationError: one is to be started, and one that runs already is named; or it is vLLM, and vLLM is not
            installed.
    """
    if settings.has_engine_elsewhere and "engine" in settings.model_fields_set:
        raise ConfigurationError(
            f"An engine that runs already is named ({', '.join(settings.engine_urls)}), and another is to be started "
            f"(--engine {settings.engine}). Unset INGRAIN_VLLM_URLS and INGRAIN_ENGINE_URL to start one; to use the "
            "one that runs, leave out --engine and unset INGRAIN_ENGINE."
        )
    if settings.engine == "vllm":
        check_vllm(settings)


def choose_engine(settings: Settings) -> Engine:
    """The engine that the settings name; otherwise one of our own, on a free port of this machine, with a fresh key."""
    key = settings.engine_api_key.get_secret_value() if settings.engine_api_key else ""
    if settings.has_engine_elsewhere:
        return Engine(settings.engine_urls[0], 0, key, is_ours=False)
    port = ports.free_port()
    return Engine(f"http://127.0.0.1:{port}", port, key or secrets.token_urlsafe(24), is_ours=True)


def make_parts(settings: Settings, engine: Engine, base_model: Path) -> list[Part]:
    """The parts to start, in this order; what the settings place elsewhere is not among them.

    Raises:
        ConfigurationError: the embedded broker is needed and not installed, or INGRAIN_VLLM_ARGUMENTS is wrong.
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
                check_life=lambda: broker.why_not_ready(socket),
            )
        )
        environment["INGRAIN_REDIS_URL"] = broker.broker_url(socket)
    if engine.is_ours:
        parts.append(_engine_part(settings, engine, base_model, environment))
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
            check_life=lambda: why_not_ready(f"{url}/healthz"),
        )
    )
    return parts


def engine_command(settings: Settings, base_model: Path, host: str, port: int) -> list[str]:
    """The command that runs the engine that the settings choose.

    Raises:
        ConfigurationError: it is vLLM, and INGRAIN_VLLM_ARGUMENTS is wrong.
    """
    if settings.engine == "vllm":
        return vllm_command(settings, base_model, host, port)
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


def engine_environment(settings: Settings, key: str, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment that the engine runs in, which asks its clients for `key`; an empty one: for none."""
    if settings.engine == "vllm":
        return vllm_environment(settings, key, inherited)
    return {**inherited, "INGRAIN_ENGINE_API_KEY": key}


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


def _engine_part(settings: Settings, engine: Engine, base_model: Path, environment: Mapping[str, str]) -> Part:
    is_vllm = settings.engine == "vllm"
    part = Part(
        name="engine",
        command=engine_command(settings, base_model, "127.0.0.1", engine.port),
        environment=engine_environment(settings, engine.key, environment),
        address=engine.url,
        log=settings.home / "logs" / "engine.log",
        check=lambda: why_not_ready(f"{engine.url}/health", engine.key),
        check_life=lambda: why_not_ready(f"{engine.url}/health", engine.key),
        has_family=is_vllm,
    )
    if is_vllm:
        part.grace_seconds = _VLLM_GRACE_SECONDS
    return part


def _environment(settings: Settings, engine: Engine) -> dict[str, str]:
    # Threads that wait must not spin: engine and training share the cores, and spinning made a step take 15 s, not 1 s.
    environment = {"OMP_WAIT_POLICY": "PASSIVE", **os.environ} | {
        "PYTHONUNBUFFERED": "1",
        "INGRAIN_HOME": str(settings.home),
        "INGRAIN_HOST": settings.host,
        "INGRAIN_PORT": str(settings.port),
        "INGRAIN_BASE_MODEL": settings.base_model,
        "INGRAIN_BASE_MODEL_REVISION": settings.base_model_revision or "",
        "INGRAIN_ENGINE_API_KEY": engine.key,
    }
    return environment | ({"INGRAIN_ENGINE_URL": engine.url} if engine.is_ours else {})
