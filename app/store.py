"""Artefacts on a local directory or S3, over fsspec.

A folder is visible only when it is whole: its files are written first and its `manifest.json`, which names each with
its size and SHA-256, last. What has no manifest does not exist for readers, on a disk as in a bucket.
"""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec

from app.errors import NotFound
from app.settings import get_settings

MANIFEST = "manifest.json"


class Store:
    """Reads and writes artefacts by relative path, for example `jobs/job_…/read/passages.jsonl`."""

    def __init__(self, url: str) -> None:
        self._fs, root = fsspec.core.url_to_fs(url)
        self._root = PurePosixPath(root)
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    def _resolve(self, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or any(part in {"..", "."} for part in parts) or "\0" in path:
            raise ValueError(f"{path!r} is not a relative artefact path")
        return str(self._root.joinpath(*parts))

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write one file, whole or not at all."""
        target = self._resolve(path)
        if not self._local:
            self._fs.pipe_file(target, data)
            return
        folder = Path(target).parent
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writing-", delete=False) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(file.name).replace(target)

    def read_bytes(self, path: str) -> bytes:
        """The bytes of one file.

        Raises:
            NotFound: there is no such file.
        """
        try:
            data: bytes = self._fs.cat_file(self._resolve(path))
        except FileNotFoundError:
            raise NotFound(f"The artefact {path} does not exist.") from None
        return data

    def read_chunks(self, path: str, size: int = 1 << 20) -> Iterator[bytes]:
        """The bytes of one file, a piece at a time: adapters may be larger than what fits in memory."""
        with self._fs.open(self._resolve(path), "rb") as file:
            while chunk := file.read(size):
                yield chunk

    def read_lines(self, path: str) -> Iterator[bytes]:
        """The lines of one file, one after the other; what is not asked for is not read.

        Raises:
            NotFound: there is no such file.
        """
        try:
            with self._fs.open(self._resolve(path), "rb") as file:
                yield from file
        except FileNotFoundError:
            raise NotFound(f"The artefact {path} does not exist.") from None

    def publish_folder(self, source: Path, path: str) -> dict[str, Any]:
        """Copy the files of `source` to the folder `path` and make it visible; return its manifest.

        A folder that is whole already stays as it is: artefacts do not change. What a killed writer left is replaced.
        """
        if self.is_whole(path):
            return self.manifest(path)
        self.delete(path)
        files = sorted(file for file in source.rglob("*") if file.is_file())
        manifest: dict[str, Any] = {"files": {}}
        for file in files:
            data = file.read_bytes()
            name = file.relative_to(source).as_posix()
            self.write_bytes(f"{path}/{name}", data)
            manifest["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        self.write_bytes(f"{path}/{MANIFEST}", json.dumps(manifest, indent=1).encode())
        return manifest

    def is_whole(self, path: str) -> bool:
        """Whether the folder was published."""
        return bool(self._fs.exists(self._resolve(f"{path}/{MANIFEST}")))

    def manifest(self, path: str) -> dict[str, Any]:
        """The manifest of a published folder: `{"files": {name: {"bytes", "sha256"}}}`."""
        loaded: dict[str, Any] = json.loads(self.read_bytes(f"{path}/{MANIFEST}"))
        return loaded

    def local_folder(self, path: str, cache: Path) -> Path:
        """A local folder with the files of the published folder `path`; downloaded into `cache` where it is remote.

        Raises:
            NotFound: the folder was never published.
        """
        target = cache / path
        if not self._local and target.exists():
            return target
        if not self.is_whole(path):
            raise NotFound(f"The artefact folder {path} does not exist.")
        if self._local:
            return Path(self._resolve(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=".fetching-"))
        for name in [*self.manifest(path)["files"], MANIFEST]:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            (partial / name).write_bytes(self.read_bytes(f"{path}/{name}"))
        try:
            partial.rename(target)
        except OSError:  # another thread or process was faster, and someone may read from its copy already
            shutil.rmtree(partial)
            if not target.exists():
                raise
        return target

    def delete(self, path: str) -> None:
        """Remove a file or a folder, if it is there."""
        target = self._resolve(path)
        if self._fs.exists(target):
            self._fs.rm(target, recursive=True)


@lru_cache
def _store(url: str) -> Store:
    return Store(url)


def get_store() -> Store:
    """The store that the settings name."""
    return _store(get_settings().resolved_store_url)
