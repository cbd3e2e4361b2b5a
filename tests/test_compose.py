"""docker-compose.yml passes on what README.md says can be set."""

import re
from pathlib import Path

import pytest

from app.settings import Settings

ROOT = Path(__file__).parent.parent
ELSEWHERE = {
    "INGRAIN_HOME",
    "INGRAIN_HOST",
    "INGRAIN_PORT",  # that of the host: the container's stays
    "INGRAIN_ENGINE",
    "INGRAIN_ENGINE_URL",
    "INGRAIN_VLLM_PYTHON",
    "INGRAIN_VLLM_ARGUMENTS",
}
"""What the containers have of their own, or what is for an engine that `ingrain up` starts."""


def environment() -> dict[str, str]:
    """What every container of ours is given: the block that they share."""
    shared = (ROOT / "docker-compose.yml").read_text().partition("\nx-ingrain: ")[2].partition("\n\n")[0]
    return dict(re.findall(r"^  (INGRAIN_\w+): (.+)$", shared, re.MULTILINE))


def settings_of_the_table() -> set[str]:
    lines = (ROOT / "README.md").read_text().splitlines()
    return {name for line in lines if line.startswith("| `INGRAIN_") for name in re.findall(r"`(INGRAIN_\w+)`", line)}


def test_every_setting_of_the_table_reaches_the_containers() -> None:
    table = settings_of_the_table()
    assert len(table) > 30
    assert table - ELSEWHERE - environment().keys() == {"INGRAIN_HEARTBEAT_FILE"}, "which the worker's block sets"


def test_what_is_not_set_keeps_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = [name for name, value in environment().items() if value == f"${{{name}:-}}"]
    fields = [name.removeprefix("INGRAIN_").lower() for name in empty]
    assert "max_attempts" in fields
    for name in empty:
        monkeypatch.setenv(name, "")
    settings = Settings()
    assert [getattr(settings, field) for field in fields] == [
        Settings.model_fields[field].get_default() for field in fields
    ]
