"""The rules of `Idempotency-Key`: the same key with the same request gives the same answer, also when both race.

The key is written in the transaction of what it guards, so that neither can exist without the other. Of two requests
that race, one meets the other's row (`IntegrityError`) when it writes, and gives the other's answer instead.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Header, Response
from sqlalchemy.orm import Session

from app.dependencies import UnitOfWork
from app.errors import IdempotencyConflict
from app.idempotency import queries
from app.models import IdempotencyKey, now

KEPT: Final = timedelta(hours=24)

KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="Any text that is new for each request. Sent again within 24 hours, it gives the first answer.",
    ),
]


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that makes something: its key (None: it has none), its path, and what tells it from another."""

    key: str | None
    path: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request that makes something."""

    body: dict[str, Any]
    location: str
    replayed: bool = False


def claim(key: str | None, path: str, request: object) -> Claim:
    """The claim of a request; `request` is whatever of it decides the answer, as JSON."""
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return Claim(key, path, hashlib.sha256(canonical.encode()).hexdigest())


def replay(unit_of_work: UnitOfWork, claim: Claim) -> Answer | None:
    """The answer that this request got before.

    Raises:
        IdempotencyConflict: its key was used for another request.
    """
    if claim.key is None:
        return None
    with unit_of_work(reads_only=True) as session:
        kept = queries.find(session, claim.key, claim.path)
    if kept is None or kept.created_at < now() - KEPT:
        return None
    if kept.request_sha256 != claim.fingerprint:
        raise IdempotencyConflict(
            f"The Idempotency-Key {claim.key!r} came with another request before. Use a new key for a new request."
        )
    return Answer(kept.response, kept.location or "", replayed=True)


def remember(session: Session, claim: Claim, status: int, answer: Answer) -> None:
    """Keep the answer with what it made, in one transaction."""
    if claim.key is None:
        return
    queries.forget_before(session, now() - KEPT)
    kept = IdempotencyKey(
        key=claim.key,
        path=claim.path,
        request_sha256=claim.fingerprint,
        status=status,
        response=answer.body,
        location=answer.location,
    )
    queries.add(session, kept)


def set_headers(response: Response, answer: Answer) -> None:
    """Tell where the new thing is, and whether this answer was given before."""
    response.headers["Location"] = answer.location
    if answer.replayed:
        response.headers["Idempotency-Replayed"] = "true"
