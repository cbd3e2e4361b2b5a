"""HTTP for those who run the service."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, Field

from app.auth import documented_bearer
from app.dependencies import Parts
from app.errors import NotReady, Unauthorized
from app.health.metrics import Metrics
from app.health.service import check_all
from app.problems import problems

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Every part that the service needs answers."""

    status: Literal["ok"] = "ok"
    checks: dict[str, str] = Field(examples=[{"database": "ok", "broker": "ok", "store": "ok", "engine": "ok"}])


def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


@router.get("/healthz", operation_id="getHealth", summary="Does it live?")
def get_health() -> Alive:
    """The process lives and answers. Says nothing about what it needs; see `/readyz`."""
    return Alive()


@router.get("/readyz", operation_id="getReadiness", summary="Is it ready?", responses=problems(NotReady))
async def get_readiness(parts: Parts) -> Ready:
    """Database, broker, store and engine, each asked. A 503 names those that do not answer, with `checks`."""
    checks = await check_all(parts)
    failed = {name: why for name, why in checks.items() if why != "ok"}
    if failed:
        detail = "; ".join(f"{name}: {why.rstrip('.')}" for name, why in failed.items())
        raise NotReady(f"Not ready: {detail}.", extra={"checks": checks}, headers={"Retry-After": "5"})
    return Ready(checks=checks)


@router.get(
    "/metrics",
    operation_id="getMetrics",
    summary="Metrics for Prometheus",
    dependencies=[documented_bearer],
    response_class=Response,
    responses={
        200: {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problems(Unauthorized),
    },
)
def get_metrics(metrics: Annotated[Metrics, Depends(_metrics)]) -> Response:
    """Requests by route and status, their latency, jobs by status, and the queue's length."""
    return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)
