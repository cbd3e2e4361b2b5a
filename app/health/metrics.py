"""What `/metrics` tells Prometheus: requests as they come, jobs as they are when it asks."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.dependencies import UnitOfWork
from app.health import queries
from app.jobs.queries import count_by_status

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one application. Each has a registry of its own, so that several can live in a process."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._requests = Counter("ingrain_requests", "Requests answered.", labels, registry=self._registry)
        self._seconds = Histogram(
            "ingrain_request_seconds", "Time to a request's end.", labels[:2], buckets=_BUCKETS, registry=self._registry
        )
        self._registry.register(_Jobs(unit_of_work))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. Status 0: the client was gone before the answer."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)


class _Jobs(Collector):
    """Counted when asked, from the rows: right also for what other processes did."""

    def __init__(self, unit_of_work: UnitOfWork) -> None:
        self._unit_of_work = unit_of_work

    def describe(self) -> list[Metric]:
        """Nothing: else the registry would collect, and ask the database, to find out."""
        return []

    def collect(self) -> Iterator[Metric]:
        """One reading."""
        with self._unit_of_work(reads_only=True) as session:
            counts = count_by_status(session)
            outbox = queries.outbox_length(session)
            wait = queries.longest_wait_seconds(session)
        jobs = GaugeMetricFamily("ingrain_jobs", "Jobs by status.", labels=["status"])
        for status, count in counts.items():
            jobs.add_metric([status], count)
        yield jobs
        yield GaugeMetricFamily("ingrain_queue_length", "Jobs that wait for a worker.", value=counts["queued"])
        yield GaugeMetricFamily("ingrain_queue_oldest_seconds", "How long the oldest of them has waited.", value=wait)
        yield GaugeMetricFamily("ingrain_outbox_length", "Wake-ups that wait for the broker.", value=outbox)
