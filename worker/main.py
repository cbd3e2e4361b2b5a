"""The worker: `python -m worker.main`. A thin Celery worker that runs jobs one at a time.

SIGTERM or Ctrl-C ends it in good order: the stage that runs is stopped, and its job waits for the next worker, which
goes on from what is finished (distil from its last checkpoint).
"""

import os
import warnings
from collections.abc import Mapping

from celery import Celery, signals

from app.queue import RUN_JOB, Relay, make_celery
from app.settings import Settings, get_settings
from worker.heartbeat import touch_while_consuming
from worker.logs import configure_logging
from worker.reaper import Reaper
from worker.runner import STAGE_MODULES, Runner


def make_worker(settings: Settings, runner: Runner) -> Celery:
    """The Celery application with its one task."""
    celery = make_celery(settings.resolved_redis_url)

    @celery.task(name=RUN_JOB)
    def run_job(job_id: str) -> None:
        runner.run(job_id)

    return celery


def serve(settings: Settings, stages: Mapping[str, str] = STAGE_MODULES, retry_pause_seconds: float = 2.0) -> None:
    """Run the worker until it is told to stop."""
    configure_logging(settings.log_level)
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    runner = Runner(settings, stages, retry_pause_seconds)
    celery = make_worker(settings, runner)
    if settings.heartbeat_file:
        touch_while_consuming(celery, settings.heartbeat_file, settings.heartbeat_seconds)
    relay, reaper = Relay(settings.resolved_redis_url), Reaper(settings, runner)

    # Celery would install its own logging, and would let the running job end before it stops, which may take hours.
    @signals.setup_logging.connect(weak=False)
    def keep_logging(**_: object) -> None: ...

    @signals.worker_shutting_down.connect(weak=False)
    def stop_runner(**_: object) -> None:
        runner.stop()

    reaper.start()
    relay.start()
    try:
        celery.worker_main(
            [
                "--quiet",
                "worker",
                "--pool=threads",
                "--concurrency=1",
                f"--hostname=ingrain-{os.getpid()}@%h",
                "--without-gossip",
                "--without-mingle",
                "--without-heartbeat",
            ]
        )
    finally:
        runner.stop()
        reaper.stop()
        relay.stop()


if __name__ == "__main__":
    serve(get_settings())
