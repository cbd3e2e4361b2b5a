"""One running installation for all tests of commands, and one address where nothing answers."""

from collections.abc import Iterator

import pytest

from tests.installation import Installation, installed, running


@pytest.fixture(scope="package")
def service() -> Iterator[Installation]:
    """An installation that is up, with a tiny base model."""
    with installed() as installation, running(installation):
        yield installation


@pytest.fixture
def nothing() -> Iterator[Installation]:
    """An installation that is not up, at a port where nobody listens."""
    with installed(INGRAIN_PORT="9") as installation:
        yield installation
