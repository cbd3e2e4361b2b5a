"""Tells in its summary what it knows of its documents and of the parent."""

from pathlib import Path
from typing import Any

from tests.worker.small_stages import quick
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    parent = inputs.parent
    assert parent is not None
    told = {
        "adapter_id": parent.adapter_id,
        "documents": parent.documents,
        "left_out": parent.left_out,
        "files": sorted(str(file.relative_to(parent.artefacts)) for file in parent.artefacts.glob("*/*")),
    }
    return {**quick.run(inputs, out, progress), "new": [document.text for document in inputs.documents], "parent": told}
