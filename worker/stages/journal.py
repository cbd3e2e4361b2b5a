"""What the engine has answered to a stage, kept so that a stage which begins again asks only for what is missing.

A line a finished request: {"request": SHA-256 of its payload, "completions": [[text, finish_reason, logprob], …]}.
Everything that decides an answer is in the payload, so a journal never serves one that another request would get.
"""

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from worker.pairs.writer import Completion


class Journal:
    """Finished requests in a file, which is made if need be. Use it as a context manager.

    Equal requests keep their own answers: what a former run was answered once is served once.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._file = file.open("a+b")
        self._kept: defaultdict[str, deque[list[Completion]]] = defaultdict(deque)
        self._read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def take(self, payload: Mapping[str, Any]) -> list[Completion] | None:
        """What a former run was answered to this request; None: nothing that was not taken yet."""
        kept = self._kept.get(_name(payload))
        return kept.popleft() if kept else None

    def keep(self, payload: Mapping[str, Any], completions: Sequence[Completion]) -> None:
        """Write down an answer, for the next run; it outlives a kill of this process."""
        told = [[completion.text, completion.finish_reason, completion.logprob] for completion in completions]
        self._file.write(json.dumps({"request": _name(payload), "completions": told}).encode() + b"\n")
        self._file.flush()

    def _read(self) -> None:
        """Read what is whole, and cut off a last line that a kill tore, so that the next one stands by itself."""
        whole = 0
        self._file.seek(0)
        for line in self._file:
            try:
                entry = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            self._kept[entry["request"]].append([Completion(*told) for told in entry["completions"]])
            whole += len(line)
        self._file.truncate(whole)


def _name(payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
