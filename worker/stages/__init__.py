"""The six stages of a job: one function each, artefacts in, artefact out.

A stage module has `run(inputs, out, progress)`, which reads finished artefacts under `inputs.artefacts`, writes its
own into `out`, tells `progress(done, total)` as it goes, and returns a small summary that users see. It runs in a
process of its own and knows no SQL and no Celery; the runner makes `out` visible at once when it returns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.engine.engines import Engines
from app.jobs.settings import ResolvedSettings

_BUSY_SECONDS = 600.0  # nobody waits for an answer: an engine that is busy works, and will have room

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class DocumentText:
    """A document as the read stage gets it."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class EngineAddress:
    """Where the engine's replicas are, the key that they ask for (None: none), and how to use them: see `Engines`."""

    urls: tuple[str, ...]
    api_key: str | None = None
    slots: int = 16
    patience: float = 60.0
    concurrency: int = 64

    def open(self) -> Engines:
        """The replicas, to be closed after use."""
        return Engines(
            self.urls,
            self.api_key,
            slots=self.slots,
            patience=self.patience,
            busy_patience=_BUSY_SECONDS,
            concurrency=self.concurrency,
        )


@dataclass(frozen=True, slots=True)
class Parent:
    """The adapter that a child goes on from.

    Attributes:
        documents: those of its documents that the child rehearses.
        left_out: those that were replaced, of which the child learns nothing.
        artefacts: folder with the sub-folders `read`, `answer` and `examine` of its job, and `adapter`, its files.
    """

    adapter_id: str
    documents: tuple[str, ...]
    left_out: tuple[str, ...]
    artefacts: Path


@dataclass(frozen=True, slots=True)
class StageInputs:
    """What a stage may know.

    Attributes:
        settings: the job's settings, every value filled in.
        documents: the documents that the adapter learns; those that it rehearses are its parent's.
        base_model: local folder of the base model, in the Hugging Face layout.
        base_model_name: what the engine calls the base model.
        base_revision: the base model's revision: a Hugging Face commit, or `sha256:` and a fingerprint.
        engine: the engine that generates for ask and answer, and serves the adapter at publish.
        artefacts: folder with one sub-folder for each finished stage, for example `read/passages.jsonl`.
        scratch: folder of this job and stage that survives a kill, for checkpoints.
        cache: folder of this machine, shared by all jobs, for what depends on the base model alone.
        max_lora_rank: the highest rank that the engine serves.
        parent: the adapter to go on from; None: there is none.
    """

    job_id: str
    adapter_id: str
    settings: ResolvedSettings
    documents: tuple[DocumentText, ...]
    base_model: Path
    base_model_name: str
    base_revision: str
    engine: EngineAddress
    artefacts: Path
    scratch: Path
    cache: Path
    max_lora_rank: int
    parent: Parent | None = None
