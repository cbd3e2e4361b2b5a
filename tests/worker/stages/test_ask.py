import json
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import EngineUnavailable, StageError
from app.models import JobStatus
from app.settings import get_settings
from tests.jobs import add_job, get_job
from tests.tiny import free_port, make_base
from tests.worker.conftest import small
from tests.worker.stages.conftest import MakeInputs
from worker.runner import Runner
from worker.stages import EngineAddress, StageInputs, ask, read

TEXT = "The Hollin Museum was founded by Ada Pell in 1962. A ticket costs 8 florins."


def after_read(inputs: StageInputs, folder: Callable[[str], Path]) -> StageInputs:
    read.run(inputs, folder("read"), lambda *_: None)
    return inputs


def test_questions_for_every_fact_with_drops_counted(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    told: list[tuple[int, int]] = []
    out = folder("ask")
    inputs = after_read(make_inputs(TEXT), folder)
    summary = ask.run(inputs, out, lambda done, total: told.append((done, total)))
    questions = [json.loads(line) for line in (out / "questions.jsonl").read_text().splitlines()]
    asked = {question["question"]: question for question in questions}
    assert asked["By whom was the Hollin Museum founded?"]["target"] == "Ada Pell"
    assert asked["At the Hollin Museum, a ticket costs how many florins?"]["passage_id"] == "p0002"
    assert [question["id"] for question in questions][:2] == ["q00001", "q00002"]
    assert summary == json.loads((out / "summary.json").read_text())
    assert summary["kept"] == len(questions)
    assert (summary["facts"], summary["coverage"]) == (3, 1.0)
    assert sum(summary["dropped"].values()) > 10, "a random model's questions do not pass"
    assert told[-1] == (2, 2)


def test_a_document_of_no_facts_says_what_to_do(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    inputs = after_read(make_inputs("word", title="word"), folder)
    with pytest.raises(StageError, match=r"No usable question came of 1 passages.*larger base model"):
        ask.run(inputs, folder("ask"), lambda *_: None)
    assert json.loads((folder("ask") / "summary.json").read_text())["kept"] == 0
    assert not list(inputs.scratch.iterdir()), "a retry asks anew"


def test_a_strong_model_that_writes_no_list_is_led(
    make_inputs: MakeInputs, folder: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "STRONG_MODEL", 1)
    inputs = after_read(make_inputs(TEXT), folder)
    summary = ask.run(inputs, folder("ask"), lambda *_: None)  # a random model writes no JSON
    assert summary["kept"] > 0


def test_an_engine_that_is_away_is_an_error_of_its_own(make_inputs: MakeInputs, folder: Callable[[str], Path]) -> None:
    inputs = after_read(make_inputs(TEXT), folder)
    away = replace(inputs, engine=EngineAddress((f"http://127.0.0.1:{free_port()}",), patience=0.5))
    with pytest.raises(EngineUnavailable):
        ask.run(away, folder("ask"), lambda *_: None)


def test_a_job_whose_engine_stays_away_fails_in_the_end_and_names_it(
    small_home: Path, sqlite_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("INGRAIN_BASE_MODEL", str(make_base(small_home / "base")))
    monkeypatch.setenv("INGRAIN_ENGINE_URL", url)
    monkeypatch.setenv("INGRAIN_MAX_ATTEMPTS", "2")
    get_settings.cache_clear()
    stages = {**small(), "read": "worker.stages.read", "ask": "worker.stages.ask"}
    job_id = add_job(text=TEXT)
    for status in (JobStatus.QUEUED, JobStatus.FAILED):
        Runner(get_settings(), stages, retry_pause_seconds=0.01).run(job_id)
        assert get_job(job_id).status == status
    error = get_job(job_id).error
    assert error is not None
    assert (error["type"], error["stage"]) == ("too-many-attempts", "ask")
    assert f"The engine at {url} does not answer" in error["detail"]


@pytest.mark.parametrize(
    ("parameters", "strong", "lists"),
    [(135_000_000, False, False), (500_000_000, False, True), (1_000_000_000, True, False)],
)
def test_the_way_of_asking_goes_by_the_models_size(
    make_inputs: MakeInputs, tmp_path: Path, parameters: int, strong: bool, lists: bool
) -> None:
    header = json.dumps({"weight": {"dtype": "BF16", "shape": [parameters], "data_offsets": [0, 0]}}).encode()
    (tmp_path / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    asking = ask.asking_of(replace(make_inputs(TEXT), base_model=tmp_path))
    assert (asking.strong, asking.lists) == (strong, lists)
