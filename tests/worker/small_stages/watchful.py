"""Tells in its summary whether the engine sleeps while it runs."""

from pathlib import Path
from typing import Any

import httpx

from app.settings import get_settings
from tests.worker.small_stages import quick
from worker.stages import Progress, StageInputs


def run(inputs: StageInputs, out: Path, progress: Progress) -> dict[str, Any]:
    told = httpx.get(f"{get_settings().engine_urls[0]}/is_sleeping").json()
    return {**quick.run(inputs, out, progress), "engine_sleeps": told["is_sleeping"]}
