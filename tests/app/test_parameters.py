"""Query parameters that nobody declared."""

import httpx
import pytest

from tests.app.conftest import post


@pytest.mark.parametrize(
    ("path", "name", "says"),
    [
        ("/v1/adapters?state=ready", "state", "The query parameters are: cursor, limit, status."),
        ("/v1/adapters/{adapter}/pairs?limit=3&splitt=train", "splitt", "Did you mean 'split'?"),
        ("/v1/adapters/{adapter}/report?fromat=html", "fromat", "The query parameters are: format."),
        ("/v1/jobs/{job}?verbose=1", "verbose", "It has no query parameters."),
        ("/v1/documents?external-id=x", "external-id", "Did you mean 'external_id'?"),
    ],
)
def test_an_unknown_query_parameter_is_refused_with_the_known_ones(
    api_on_sqlite: httpx.Client, path: str, name: str, says: str
) -> None:
    taken = post(api_on_sqlite)
    ids = {kind: taken[kind]["id"] for kind in ("document", "adapter", "job")}
    answer = api_on_sqlite.get(path.format(**ids))
    assert (answer.status_code, answer.json()["field"]) == (422, name)
    assert answer.json()["detail"].startswith(f"'{name}' is not a query parameter of this call.")
    assert says in answer.json()["detail"]


def test_a_misspelt_parameter_deletes_nothing(api_on_sqlite: httpx.Client) -> None:
    body = {"text": "The harbour of Velm was dug in 1742 by Ana Rook.", "make_adapter": False}
    path = f"/v1/documents/{api_on_sqlite.post('/v1/documents', json=body).json()['document']['id']}"
    assert api_on_sqlite.delete(f"{path}?cascad=false").status_code == 422
    assert api_on_sqlite.get(path).status_code == 200


def test_what_openais_clients_and_gateways_add_is_taken(api_on_sqlite: httpx.Client) -> None:
    assert api_on_sqlite.get("/v1/models?api-version=2024-06-01").status_code == 200
