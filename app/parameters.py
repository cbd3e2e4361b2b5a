"""Query parameters that a call does not have: refused, as unknown fields of a body are, for a typo changes nothing."""

import difflib
from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.errors import InvalidInput
from app.problems import OPENAI_ROUTES


def refuse_unknown(request: Request) -> None:
    """Refuse a request with a query parameter that its route does not declare.

    OpenAI's routes take any: their clients and gateways add some of their own, such as `api-version`.

    Raises:
        InvalidInput: it names the parameter, and those that there are.
    """
    route = request.scope["route"]
    if not isinstance(route, APIRoute) or request.url.path.startswith(OPENAI_ROUTES):
        return
    known = sorted(set(_declared(route.dependant)))
    for name in request.query_params:
        if name not in known:
            raise InvalidInput(_sentence(name, known), field=name)


def _declared(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _declared(inner)


def _sentence(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    there_are = f"The query parameters are: {', '.join(known)}." if known else "It has no query parameters."
    return f"{name[:80]!r} is not a query parameter of this call.{hint} {there_are}"
