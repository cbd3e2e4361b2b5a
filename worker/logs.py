"""The worker's log: one calm line for each thing that happens, with the job's id first."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any


class JobLog(logging.LoggerAdapter[logging.Logger]):
    """A logger that begins each line with the job's id."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put the id first."""
        job_id = self.extra["job_id"] if self.extra else "-"
        return f"{job_id} {msg}", kwargs


def job_log(name: str, job_id: str) -> JobLog:
    """The logger of a module, for one job."""
    return JobLog(logging.getLogger(name), {"job_id": job_id})


def configure_logging(level: str) -> None:
    """Log to standard error: our own lines from `level` on, other people's from WARNING on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for room in ("app", "worker"):
        logging.getLogger(room).setLevel(level.upper())
