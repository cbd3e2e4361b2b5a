"""A real engine on a tiny random model, and the inputs of a stage that generates with it.

What the tiny model writes makes no sense, so the questions that survive are those that are made by rule: enough to see
prompts go out, answers come back, filters count and artefacts appear.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.jobs.settings import JobSettings, resolve
from tests.tiny import EmbeddedEngine, make_base
from tests.worker.stages.made_inputs import stage_inputs
from worker.distillation.student import Student, new_student
from worker.stages import DocumentText, StageInputs

MakeInputs = Callable[..., StageInputs]


@pytest.fixture(scope="session")
def writing_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEngine]:
    """The engine with room for prompts that carry examples."""
    base = make_base(tmp_path_factory.mktemp("base"))
    config = json.loads((base / "config.json").read_text())
    config["max_position_embeddings"] = 4096
    (base / "config.json").write_text(json.dumps(config))
    engine = EmbeddedEngine(base)
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def make_inputs(writing_engine: EmbeddedEngine, tmp_path: Path) -> MakeInputs:
    """Inputs for one document: `make_inputs(text, seed=1)`."""

    def make(text: str, title: str = "The Hollin Museum", **settings: int | str) -> StageInputs:
        return replace(
            stage_inputs(writing_engine.base, writing_engine.url, tmp_path),
            settings=resolve(JobSettings.model_validate(settings)),
            documents=(DocumentText("doc_1", title, text),),
        )

    return make


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("tiny") / "base")


@pytest.fixture
def idle_inputs(tiny_base: Path, tmp_path: Path) -> StageInputs:
    """Inputs of a stage that asks no engine."""
    return stage_inputs(tiny_base, "http://127.0.0.1:1", tmp_path)


@pytest.fixture
def changed(tiny_base: Path) -> Student:
    """A student whose adapter changes what it says."""
    made = new_student(tiny_base, rank=4, seed=0, device=torch.device("cpu"), dtype=torch.float32)
    for name, weight in made.trained_parameters().items():
        if "lora_B" in name:
            weight.data.fill_(0.5)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    """The folder that a stage writes into, made new."""

    def make(stage: str) -> Path:
        path = tmp_path / "artefacts" / stage
        path.mkdir(parents=True, exist_ok=True)
        return path

    return make
