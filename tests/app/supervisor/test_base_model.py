"""The base model is made ready once, and every part is told its revision."""

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.base_model import PreparedModel, prepare_base_model
from app.supervisor.notices import Notice
from tests.installation import Installation, installed, running
from worker.base_model import resolve_base_model

PARTS = ("valkey-server", "worker.engine", "worker.main", "app.cli api")


def _tell(_: Notice) -> None:
    pass


def _variables(installation: Installation, words: str) -> list[str]:
    number = installation.process_of(words)
    return Path(f"/proc/{number}/environ").read_text().split("\0")


def test_every_part_is_told_the_revision_that_was_found() -> None:
    with installed() as installation, running(installation):
        revision = resolve_base_model(str(installation.model), installation.home).revision
        for words in PARTS:
            assert f"INGRAIN_BASE_MODEL_REVISION={revision}" in _variables(installation, words), words


def test_another_revision_than_the_settings_ask_for_is_refused_with_both() -> None:
    with installed() as installation:
        settings = Settings(home=installation.home, base_model=str(installation.model))
        found = prepare_base_model(settings, _tell)
        assert found == PreparedModel(installation.model, found.revision)
        pinned = settings.model_copy(update={"base_model_revision": found.revision})
        assert prepare_base_model(pinned, _tell) == found
        other = settings.model_copy(update={"base_model_revision": "sha256:other"})
        with pytest.raises(ConfigurationError, match=rf"{found.revision}.* asks for sha256:other"):
            prepare_base_model(other, _tell)
