"""Artefacts are whole or not there, on a disk and in another fsspec file system alike."""

from pathlib import Path

import fsspec
import pytest

from app.errors import NotFound
from app.store import Store


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    fsspec.filesystem("memory").store.clear()
    return Store(f"file://{tmp_path / 'store'}" if request.param == "file" else "memory://store")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out" / "adapter").mkdir(parents=True)
    (tmp_path / "out" / "summary.json").write_bytes(b"{}")
    (tmp_path / "out" / "adapter" / "weights").write_bytes(b"\x00" * 10)
    return tmp_path / "out"


def test_a_file_comes_back_as_it_was_written(store: Store) -> None:
    store.write_bytes("documents/doc_1/original", b"first")
    store.write_bytes("documents/doc_1/original", b"second")
    assert store.read_bytes("documents/doc_1/original") == b"second"


def test_a_missing_file_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="jobs/job_1/read"):
        store.read_bytes("jobs/job_1/read/passages.jsonl")


def test_lines_are_read_one_after_the_other(store: Store) -> None:
    store.write_bytes("jobs/job_1/answer/pairs.jsonl", b'{"id": 1}\n{"id": 2}\n{"id"')
    lines = store.read_lines("jobs/job_1/answer/pairs.jsonl")
    assert [next(lines), next(lines), *lines] == [b'{"id": 1}\n', b'{"id": 2}\n', b'{"id"']
    with pytest.raises(NotFound, match="jobs/job_1/read"):
        next(store.read_lines("jobs/job_1/read/passages.jsonl"))


def test_a_published_folder_knows_its_files(store: Store, folder: Path, tmp_path: Path) -> None:
    manifest = store.publish_folder(folder, "jobs/job_1/distil")
    assert {name: entry["bytes"] for name, entry in manifest["files"].items()} == {
        "adapter/weights": 10,
        "summary.json": 2,
    }
    local = store.local_folder("jobs/job_1/distil", tmp_path / "cache")
    assert (local / "adapter" / "weights").read_bytes() == b"\x00" * 10


def test_what_a_killed_writer_left_is_not_visible_and_is_replaced(store: Store, folder: Path, tmp_path: Path) -> None:
    store.write_bytes("jobs/job_1/distil/stale", b"half")
    assert not store.is_whole("jobs/job_1/distil")
    with pytest.raises(NotFound):
        store.local_folder("jobs/job_1/distil", tmp_path / "cache")
    store.publish_folder(folder, "jobs/job_1/distil")
    assert store.is_whole("jobs/job_1/distil")
    with pytest.raises(NotFound):
        store.read_bytes("jobs/job_1/distil/stale")


def test_a_whole_folder_never_changes(store: Store, folder: Path) -> None:
    store.publish_folder(folder, "jobs/job_1/distil")
    (folder / "summary.json").write_bytes(b'{"other": 1}')
    store.publish_folder(folder, "jobs/job_1/distil")
    assert store.read_bytes("jobs/job_1/distil/summary.json") == b"{}"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../b", "", "a\0b"])
def test_no_path_leaves_the_store(store: Store, path: str) -> None:
    with pytest.raises(ValueError, match="not a relative artefact path"):
        store.write_bytes(path, b"")
