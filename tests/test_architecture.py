"""The arrows of ARCHITECTURE.md run one way: read from the imports of every module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FORBIDDEN = {
    "app": {"worker", "torch", "transformers", "peft", "tests"},
    "worker": {"tests", "fastapi.testclient"},
    "worker/pairs": {"app", "celery", "sqlalchemy", "fastapi", "httpx", "worker.stages", "worker.engine"},
    "worker/distillation": {"app", "celery", "sqlalchemy", "fastapi", "httpx", "worker.stages", "worker.engine"},
    "worker/stages": {"celery", "sqlalchemy", "fastapi", "app.database", "app.models", "app.queue", "worker.runner"},
    "worker/engine": {"celery", "sqlalchemy", "app.database", "app.models", "worker.stages"},
}

LEAVES = {"app.markdown", "app.chat_templates"}
"""Modules that import nothing of the project, and that every room may have."""


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a module imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("room", sorted(FORBIDDEN))
def test_no_arrow_runs_the_wrong_way(room: str) -> None:
    modules = list((ROOT / room).rglob("*.py"))
    assert modules, f"{room} has no modules"
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in modules
        for line, name in imports(path)
        if any(within(name, package) for package in FORBIDDEN[room]) and not any(within(name, leaf) for leaf in LEAVES)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_leaves_import_nothing_of_the_project(leaf: str) -> None:
    path = ROOT / f"{leaf.replace('.', '/')}.py"
    assert not [name for _, name in imports(path) if within(name, "app") or within(name, "worker")]


def test_only_queries_speak_sql() -> None:
    allowed = {"queries.py", "leases.py"}  # leases.py: what only a worker may do, on the same tables
    wrong = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in (ROOT / "app").glob("*/*.py")
        if path.name not in allowed
        for line, name in imports(path)
        if name
        in {"sqlalchemy.select", "sqlalchemy.update", "sqlalchemy.delete", "sqlalchemy.insert", "sqlalchemy.text"}
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("module", ["app.main", "app.cli", "worker.main"])
def test_service_and_worker_start_without_torch(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('torch', 'transformers', 'peft') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"
