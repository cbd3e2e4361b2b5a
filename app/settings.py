"""Every setting of Ingrain, typed, read from INGRAIN_* variables.

With nothing set it runs embedded (SQLite, a broker on a Unix socket, a local folder, the embedded engine); with
the URLs set it runs distributed. Both use the same code.
"""

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

_REVISION: Final = re.compile(r"[0-9a-f]{40}|sha256:[0-9a-f]{64}")


class Settings(BaseSettings):
    """The configuration of one process. The README's table lists each variable."""

    model_config = SettingsConfigDict(env_prefix="INGRAIN_", env_ignore_empty=True, extra="ignore")

    home: Path = Field(Path("~/.ingrain"), description="Where all state of an embedded installation lives.")
    host: str = Field("127.0.0.1", description="Address that the API listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port that the API listens on.")
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="Comma-separated bearer keys. Without any, only loopback addresses are served."
    )

    database_url: str | None = Field(None, description="SQLAlchemy URL; by default SQLite under the home folder.")
    redis_url: str | None = Field(None, description="Redis URL of the queue; by default the embedded broker's socket.")
    store_url: str | None = Field(None, description="fsspec URL of the artefact store; by default a local folder.")

    base_model: str = Field("smollm2-135m", description="Hugging Face id, local folder, or smollm2-135m.")
    base_model_revision: str | None = Field(
        None, description="The base model's revision: a Hugging Face commit, or sha256:... of a local folder."
    )

    engine: Literal["embedded", "vllm"] = Field("embedded", description="The engine that `ingrain up` starts.")
    engine_url: str = Field("http://127.0.0.1:8001", description="Base URL of the engine (without /v1).")
    vllm_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated base URLs of vLLM servers, one or more replicas; go before engine_url."
    )
    engine_api_key: SecretStr | None = Field(None, description="Bearer key that the engine asks for.")
    engine_patience_seconds: float = Field(
        60.0, ge=0, description="How long a request waits for an engine that does not answer, or for a free slot."
    )
    engine_concurrency: int = Field(
        64, ge=1, description="Requests that one process has under way at a replica before the next one helps out."
    )
    vllm_python: Path | None = Field(None, description="Interpreter that has vLLM installed; by default this one.")
    vllm_arguments: str = Field("", description="Further arguments of the vLLM that `ingrain up` starts.")
    vllm_sleep: bool = Field(False, description="Whether the engine sleeps while a worker on its GPU trains.")
    max_lora_rank: int = Field(64, ge=1, le=512, description="Highest adapter rank that the engine serves.")
    max_loras: int = Field(16, ge=1, description="Adapters that the engine holds at once.")
    max_model_length: int = Field(2048, ge=128, description="Longest prompt plus answer, in tokens.")

    retrieval: Literal["bm25", "embeddings", "hybrid"] = Field(
        "bm25", description="How a chat's `retrieval` ranks passages; the others need the extra `embeddings`."
    )

    max_document_bytes: int = Field(5_000_000, ge=1, description="Largest document that is taken, in bytes.")
    min_document_words: int = Field(5, ge=1, description="Shortest document that can be taught, in words.")

    min_retention: float = Field(
        0.8, ge=0, le=1, description="Floor of an adapter's right general answers, as a share of the base model's."
    )
    min_recall: float = Field(
        0.0, ge=0, le=1, description="Floor of the share of held-out questions that an adapter answers right."
    )

    lease_seconds: float = Field(30.0, gt=0, description="A job whose worker is silent this long is given to another.")
    heartbeat_seconds: float = Field(5.0, gt=0, description="How often a worker renews its lease.")
    heartbeat_file: Path | None = Field(None, description="A file that a worker touches while it takes jobs.")
    max_attempts: int = Field(3, ge=1, description="How often a job is started before it fails for good.")
    stop_grace_seconds: float = Field(5.0, ge=0, description="Between SIGTERM and SIGKILL for a stage's process.")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="The least that is logged.")

    @field_validator("api_keys", "vllm_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(entry.strip() for entry in value.split(",") if entry.strip())
        return value

    @field_validator("engine_url", "vllm_urls")
    @classmethod
    def _base_urls(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        urls = (value,) if isinstance(value, str) else value
        for url in urls:
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.hostname:
                raise ValueError(f"{url!r} is not the URL of an engine; write http://host:port")
        clean = tuple(url.rstrip("/").removesuffix("/v1").rstrip("/") for url in urls)
        return clean[0] if isinstance(value, str) else clean

    @field_validator("retrieval")
    @classmethod
    def _has_embeddings(cls, value: str) -> str:
        if value != "bm25" and find_spec("wordllama") is None:
            raise ValueError(
                "embeddings are not installed: pip install -e '.[embeddings]' in the repository's folder, or set it to "
                "bm25"
            )
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @field_validator("home")
    @classmethod
    def _absolute_home(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @property
    def base_model_name(self) -> str:
        """What clients and the engine call the base model: its Hugging Face id, or its folder's name."""
        is_folder = self.base_model.startswith((".", "~", "/")) or Path(self.base_model).is_dir()
        return Path(self.base_model).expanduser().resolve().name if is_folder else self.base_model

    @property
    def pinned_revision(self) -> str | None:
        """The base model's revision as adapters name it; None where it is not set, or set to a tag, which may move."""
        revision = self.base_model_revision
        return revision if revision and _REVISION.fullmatch(revision) else None

    @property
    def engine_urls(self) -> tuple[str, ...]:
        """Every replica of the engine, each once."""
        urls = self.vllm_urls or (self.engine_url,)
        return tuple(dict.fromkeys(urls))

    @property
    def has_engine_elsewhere(self) -> bool:
        """Whether an engine that is not ours to start is named."""
        return bool(self.vllm_urls) or "engine_url" in self.model_fields_set

    @property
    def resolved_database_url(self) -> str:
        """The database's URL; SQLite under the home folder where none is set."""
        return self.database_url or f"sqlite:///{self.home / 'ingrain.db'}"

    @property
    def broker_socket(self) -> Path:
        """The embedded broker's Unix socket."""
        return self.home / "run" / "broker.sock"

    @property
    def resolved_redis_url(self) -> str:
        """The queue's URL in Celery's notation; the embedded broker's socket where none is set."""
        return self.redis_url or f"redis+socket://{self.broker_socket}"

    @property
    def resolved_store_url(self) -> str:
        """The artefact store's URL; a folder under the home folder where none is set."""
        return self.store_url or f"file://{self.home / 'store'}"

    @property
    def model_cache(self) -> Path:
        """Where base models that Ingrain prepares itself are kept."""
        return self.home / "models"

    @property
    def artefact_cache(self) -> Path:
        """Where copies of a remote store's adapters are kept, for the engine to read."""
        return self.home / "cache"

    @property
    def work_folder(self) -> Path:
        """Where jobs keep what is not finished: scratch files and checkpoints of this machine."""
        return self.home / "work"


@lru_cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return Settings()
