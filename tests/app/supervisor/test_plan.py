"""Which engine an installation uses, and what its parts are told."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.part import Part
from app.supervisor.plan import check_engine, choose_engine, make_parts


def parts_of(settings: Settings) -> dict[str, Part]:
    made = make_parts(settings, choose_engine(settings), Path("/models/tiny"))
    return {part.name: part for part in made}


@pytest.mark.parametrize("where", [{"engine_url": "http://one:1"}, {"vllm_urls": ("http://one:1", "http://two:2")}])
def test_no_engine_is_started_where_one_runs(settings: Settings, where: dict[str, object]) -> None:
    settings = settings.model_copy(update=where)
    check_engine(settings)
    engine = choose_engine(settings)
    assert not engine.is_ours
    assert engine.url == "http://one:1"
    assert "engine" not in parts_of(settings)


def test_the_others_are_told_where_the_engine_is(settings: Settings) -> None:
    engine = choose_engine(settings)
    parts = {part.name: part for part in make_parts(settings, engine, Path("/models/tiny"))}
    assert list(parts) == ["broker", "engine", "worker", "api"]
    for name in ("worker", "api"):
        assert parts[name].environment["INGRAIN_ENGINE_URL"] == engine.url
        assert parts[name].environment["INGRAIN_ENGINE_API_KEY"] == engine.key
    assert parts["engine"].environment["INGRAIN_ENGINE_API_KEY"] == engine.key
    assert not parts["engine"].has_family


def test_vllm_takes_the_engines_place(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    settings = settings.model_copy(update={"engine": "vllm"})
    engine = choose_engine(settings)
    part = next(part for part in make_parts(settings, engine, tmp_path) if part.name == "engine")
    assert "vllm.entrypoints.openai.api_server" in part.command
    assert part.environment["VLLM_API_KEY"] == engine.key
    assert part.has_family
    assert part.grace_seconds == 30


@pytest.mark.parametrize("where", [{"engine_url": "http://one:1"}, {"vllm_urls": ("http://one:1", "http://two:2")}])
@pytest.mark.parametrize("engine", ["vllm", "embedded"])
def test_an_engine_to_start_and_one_that_runs_contradict_each_other(
    settings: Settings, where: dict[str, object], engine: str
) -> None:
    with pytest.raises(ConfigurationError, match=rf"runs already is named .http://one:1.*--engine {engine}"):
        check_engine(settings.model_copy(update=where | {"engine": engine}))
