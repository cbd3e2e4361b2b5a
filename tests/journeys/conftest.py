"""Journeys run the real thing: `ingrain up`, with a real model, over HTTP."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installation import Installation

BASE_MODEL = "smollm2-135m"

TEXT = """# The Pellworth Wind Organ

The Pellworth Wind Organ was built in 1974 by Ingrid Tamsin. The Pellworth Wind Organ has 47 pipes.
It is tuned once a year by a gardener named Osric Bell.
"""


@pytest.fixture(scope="session")
def models() -> Iterator[Path]:
    """Where the journeys keep the base model, so that it is prepared once."""
    folder = Path(tempfile.mkdtemp(prefix="ingrain-models-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def make_home(models: Path) -> Path:
    """A fresh home folder that shares the base model with the other journeys."""
    home = Path(tempfile.mkdtemp(prefix="ingrain-"))
    (home / "models").symlink_to(models)
    return home


@pytest.fixture
def installation(models: Path) -> Iterator[Installation]:
    """A fresh home folder for the real model. Nothing is configured, and nothing may be left running."""
    place = Installation(make_home(models), Path(BASE_MODEL))
    yield place
    left = place.processes()
    shutil.rmtree(place.home, ignore_errors=True)
    assert not left, f"left running: {left}"
