"""Who may call, and who may not."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.auth import check_engine_exposure, check_exposure
from app.errors import ConfigurationError
from app.settings import get_settings
from tests.app.conftest import serving


@pytest.fixture
def guarded(sqlite_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    monkeypatch.setenv("INGRAIN_API_KEYS", "first-key, second-key")
    get_settings.cache_clear()
    with serving(get_settings()) as client:
        yield client


GUARDED = ["/v1/documents", "/v1/models", "/v1/jobs/x", "/v1/nothing", "/v1", "/metrics"]


@pytest.mark.parametrize("path", GUARDED)
@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer wrong", "Basic first-key", "first-key", "Bearer first-ke\xff"]
)
def test_without_a_key_nothing_is_told(guarded: httpx.Client, path: str, header: str | None) -> None:
    answer = guarded.get(path, headers=httpx.Headers({"Authorization": header} if header else {}, encoding="latin-1"))
    assert (answer.status_code, answer.json()["type"]) == (401, "/problems/unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("key", ["first-key", "second-key"])
def test_each_key_opens(guarded: httpx.Client, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    assert guarded.get("/v1/documents", headers=headers).status_code == 200
    assert guarded.get("/metrics", headers=headers).status_code == 200
    assert guarded.get("/v1/documents", headers={"Authorization": f"bearer {key}", "Host": "example.org"}).is_success


BROWSER = "text/html,application/xhtml+xml,*/*;q=0.8"


def test_a_browser_is_asked_for_the_key_and_gives_it_as_a_password(guarded: httpx.Client) -> None:
    for auth in (None, ("me", "wrong"), ("first-key", "")):
        asked = guarded.get("/v1/documents", headers={"Accept": BROWSER}, auth=auth)
        assert asked.status_code == 401
        challenges = asked.headers.get_list("WWW-Authenticate")
        assert challenges[0].startswith("Bearer ")
        assert challenges[1].startswith('Basic realm="Ingrain"')
    for user, key in (("", "first-key"), ("me", "second-key")):
        assert guarded.get("/v1/documents", headers={"Accept": BROWSER}, auth=(user, key)).status_code == 200
    assert len(guarded.get("/v1/documents").headers.get_list("WWW-Authenticate")) == 1, "programs are offered one"


def test_what_a_browser_sends_along_by_itself_changes_nothing(guarded: httpx.Client) -> None:
    form = {"text": "It was built in 1821 by Maret Quill."}
    answer = guarded.post("/v1/documents", data=form, auth=("me", "first-key"))
    assert answer.status_code == 401


@pytest.mark.parametrize("header", ["Basic", "Basic %", "Basic w6Q=", "Basic Oi0=", "Basic //8="])
def test_a_password_that_is_none_is_refused(guarded: httpx.Client, header: str) -> None:
    assert guarded.get("/v1/documents", headers={"Authorization": header}).status_code == 401


def test_a_stranger_cannot_make_the_server_read_a_body(guarded: httpx.Client) -> None:
    answer = guarded.post("/v1/documents", content=b"x" * 1000, headers={"Content-Type": "application/json"})
    assert answer.status_code == 401


@pytest.mark.parametrize("path", ["/healthz", "/openapi.json"])
def test_health_needs_no_key(guarded: httpx.Client, path: str) -> None:
    assert guarded.get(path).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2:8000", "localhost", "LOCALHOST:1", "[::1]:8000"])
def test_without_keys_this_machine_may_call(api_on_sqlite: httpx.Client, host: str) -> None:
    assert api_on_sqlite.get("/v1/documents", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost.evil.example:8000"},
        {"Host": "[::1"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
    ids=str,
)
def test_without_keys_no_other_name_or_page_may(api_on_sqlite: httpx.Client, headers: dict[str, str]) -> None:
    for path in ("/v1/documents", "/healthz"):
        answer = api_on_sqlite.get(path, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (403, "/problems/forbidden-origin")


def test_a_page_of_this_machine_may_call(api_on_sqlite: httpx.Client) -> None:
    assert api_on_sqlite.get("/v1/documents", headers={"Origin": "http://localhost:3000"}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org", ""])
def test_listening_to_others_needs_keys(host: str, home: Path) -> None:
    with pytest.raises(ConfigurationError, match="INGRAIN_API_KEYS"):
        check_exposure(host, ())
    check_exposure(host, (SecretStr("key"),))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_listening_to_this_machine_needs_none(host: str) -> None:
    check_exposure(host, ())


def test_an_engine_without_a_key_stays_on_this_machine() -> None:
    check_engine_exposure("127.0.0.1", None)
    check_engine_exposure("0.0.0.0", SecretStr("a-secret"))
    for key in (None, SecretStr("")):
        with pytest.raises(ConfigurationError, match="INGRAIN_ENGINE_API_KEY"):
            check_engine_exposure("0.0.0.0", key)
