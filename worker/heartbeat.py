"""What a health check looks at: a file that the worker touches for as long as it takes messages."""

from pathlib import Path
from typing import Any

from celery import Celery, bootsteps


def touch_while_consuming(celery: Celery, file: Path, seconds: float) -> None:
    """Touch `file` every few seconds from Celery's own loop.

    So it grows old when the process hangs or has lost the broker, whatever its other threads still do.
    """

    class Touch(bootsteps.StartStopStep):
        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, consumer: Any) -> None:
            consumer.timer.call_repeatedly(seconds, file.touch)  # Celery clears its timer when it loses the broker

    celery.steps["consumer"].add(Touch)
