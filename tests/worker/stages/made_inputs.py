"""What a stage may know, as the tests give it."""

from pathlib import Path

from app.jobs.settings import JobSettings, resolve
from tests.tiny import NAME
from worker.stages import EngineAddress, StageInputs


def stage_inputs(base: Path, engine_url: str, folder: Path) -> StageInputs:
    """A job on the tiny base model, with its artefacts and its scratch in `folder`."""
    return StageInputs(
        job_id="job_1",
        adapter_id="adp_1",
        settings=resolve(JobSettings()),
        documents=(),
        base_model=base,
        base_model_name=NAME,
        base_revision="a" * 40,
        engine=EngineAddress((engine_url,)),
        artefacts=folder / "artefacts",
        scratch=folder / "scratch",
        cache=folder / "cache",
        max_lora_rank=16,
    )
