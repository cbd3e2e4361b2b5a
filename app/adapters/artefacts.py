"""What the store keeps of an adapter: its pairs with the passages they come from, and its files as a ZIP archive."""

import io
import json
import shutil
import zipfile
from collections.abc import Collection, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final

from app.adapters.pair_filters import PairFilter
from app.adapters.schemas import PairView
from app.errors import NotFound
from app.ids import is_id
from app.pages import number_cursor
from app.store import Store

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def pairs_page(
    store: Store, job_id: str, stale: Collection[str], limit: int, cursor: str | None, filters: PairFilter
) -> tuple[list[PairView], str | None]:
    """A page of what the adapter learnt from, in the order of its documents, and the next cursor.

    Its own pairs come first, then those of its parent that it rehearsed. `stale` are documents that were replaced.

    A cursor is the line that the next page begins at, counted over the files of both: they never change. What stands
    before it, and what stands behind the page, is not parsed.

    Raises:
        NotFound: the answer stage has not finished.
    """
    files, read = [f"jobs/{job_id}/answer/pairs.jsonl"], [f"jobs/{job_id}/read/passages.jsonl"]
    if "rehearsed.jsonl" in store.manifest(f"jobs/{job_id}/answer")["files"]:
        files.append(f"jobs/{job_id}/answer/rehearsed.jsonl")
        read.append(f"jobs/{job_id}/answer/rehearsed_passages.jsonl")
    passages = {passage["id"]: passage for file in read for passage in _read(store, file)}
    lines = enumerate(chain.from_iterable(map(store.read_lines, files)))
    page: list[PairView] = []
    for number, line in islice(lines, number_cursor(cursor), None):
        if len(page) == limit and not filters.is_set:
            return page, str(number)
        pair = _with_passage(json.loads(line), passages, stale)
        if filters.takes(pair):
            if len(page) == limit:
                return page, str(number)
            page.append(PairView.model_validate(pair))
    return page, None


def coverage_gaps(store: Store, job_id: str) -> list[dict[str, Any]]:
    """The sentences of which answer's pairs do not ask for something; none where that was not measured."""
    try:
        gaps: list[dict[str, Any]] = json.loads(store.read_bytes(f"jobs/{job_id}/answer/coverage.json"))
    except NotFound:
        return []
    return gaps


def _read(store: Store, path: str) -> Iterator[dict[str, Any]]:
    return map(json.loads, store.read_bytes(path).splitlines())


def _with_passage(pair: dict[str, Any], passages: dict[str, dict[str, Any]], stale: Collection[str]) -> dict[str, Any]:
    passage = passages.get(pair["passage_id"], {})
    document_id = passage.get("document_id")
    return {**pair, "passage": passage.get("text"), "document_id": document_id, "stale": document_id in stale}


def zip_chunks(store: Store, adapter_id: str) -> Iterator[bytes]:
    """The adapter's files in PEFT's layout as a ZIP archive, a piece at a time; the same bytes each time."""
    folder = f"adapters/{adapter_id}"
    out = _Outlet()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(store.manifest(folder)["files"]):
            entry = zipfile.ZipInfo(f"{adapter_id}/{name}", _EPOCH)
            with archive.open(entry, "w", force_zip64=True) as file:
                for chunk in store.read_chunks(f"{folder}/{name}"):
                    file.write(chunk)
                    yield out.take()
    yield out.take()


class _Outlet(io.RawIOBase):
    """Where the archive is written to: bytes that wait to be taken. It cannot seek, so nothing is kept."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


def delete(store: Store, cache: Path, adapter_id: str, job_id: str) -> None:
    """Delete the adapter's files with their local copy in `cache`, and all that its job made."""
    store.delete(f"adapters/{adapter_id}")
    delete_copy(cache, adapter_id)
    store.delete(f"jobs/{job_id}")


def delete_copy(cache: Path, adapter_id: str) -> None:
    """Delete the local copy of the adapter's files, if there is one."""
    copy = cache / "adapters" / adapter_id
    if copy.exists():
        shutil.rmtree(copy)


def copies(cache: Path) -> list[str]:
    """The adapters of which there is a local copy, by id."""
    folder = cache / "adapters"
    return [entry.name for entry in folder.iterdir() if is_id("adp", entry.name)] if folder.is_dir() else []
