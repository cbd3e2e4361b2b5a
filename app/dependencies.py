"""What endpoints are handed: the parts of the application, and one unit of work."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Final, Protocol

from fastapi import Depends, Request
from sqlalchemy.orm import Session

from app.engine.engines import Engines
from app.retrieval.indexes import Indexes
from app.settings import Settings
from app.store import Store

_READING: Final = {"GET", "HEAD"}


class UnitOfWork(Protocol):
    """Opens sessions."""

    def __call__(self, *, reads_only: bool = False) -> AbstractContextManager[Session]:
        """One that commits when its block ends; with `reads_only` it cannot write, and waits for nobody who does."""


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one application, made once by `create_app`."""

    settings: Settings
    store: Store
    engines: Engines
    indexes: Indexes
    unit_of_work: UnitOfWork


def get_services(request: Request) -> Services:
    """The parts of the application that answers this request."""
    services: Services = request.app.state.services
    return services


def get_session(request: Request, services: Annotated[Services, Depends(get_services)]) -> Iterator[Session]:
    """The request's unit of work. It has committed before the answer is sent (see `Database`); a GET only reads."""
    with services.unit_of_work(reads_only=request.method in _READING) as session:
        yield session


Parts = Annotated[Services, Depends(get_services)]
Database = Annotated[Session, Depends(get_session, scope="function")]
