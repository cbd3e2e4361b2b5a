"""Our own modules as commands."""

import subprocess
from pathlib import Path

from app.interpreter import module_command


def test_a_folder_with_packages_of_the_same_names_changes_nothing(tmp_path: Path) -> None:
    for package in ("app", "worker"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text("raise SystemExit('the wrong one')")
    done = subprocess.run(module_command("app.cli", "--help"), cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "ingrain" in done.stdout
