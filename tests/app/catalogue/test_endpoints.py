"""Which adapters a chat may name: those that the engine's base model, its revision and the engine's rank suit."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from app.adapters import queries
from app.database import unit_of_work
from app.settings import get_settings
from tests.app.conftest import REVISION, finish, post, serving

Setting = Callable[[str, str], None]
FINGERPRINT = "sha256:" + "c" * 64
NOBODY = "http://127.0.0.1:9"


@pytest.fixture
def taught(api: httpx.Client, tmp_path: Path) -> str:
    """The id of a ready adapter, of rank 32, whose alias is `orvenna`."""
    taken = post(api, alias="orvenna")
    finish(taken, tmp_path)
    adapter_id: str = taken["adapter"]["id"]
    return adapter_id


@pytest.fixture
def setting(taught: str, monkeypatch: pytest.MonkeyPatch) -> Setting:
    """Changes a setting for the next start of the service."""

    def change(name: str, value: str) -> None:
        monkeypatch.setenv(name, value)
        get_settings.cache_clear()

    change("INGRAIN_ENGINE_URL", NOBODY)
    return change


def _models(api: httpx.Client) -> list[str]:
    return [model["id"] for model in api.get("/v1/models").json()["data"]]


def _chat(api: httpx.Client, model: str) -> httpx.Response:
    messages = [{"role": "user", "content": "Who built it?"}]
    return api.post("/v1/chat/completions", json={"model": model, "messages": messages})


@pytest.mark.parametrize(
    ("name", "value", "kind", "told"),
    [
        ("INGRAIN_BASE_MODEL", "some/other", "wrong-base-model", ("smollm2-135m", "some/other")),
        ("INGRAIN_BASE_MODEL_REVISION", "b" * 40, "wrong-base-model", (REVISION, "b" * 40)),
        ("INGRAIN_BASE_MODEL_REVISION", FINGERPRINT, "wrong-base-model", (REVISION, FINGERPRINT)),
        ("INGRAIN_MAX_LORA_RANK", "16", "conflict", ("rank 32", "up to 16", "INGRAIN_MAX_LORA_RANK")),
    ],
)
def test_an_adapter_that_does_not_suit_the_engine_is_refused_with_both_values_and_not_listed(
    taught: str, setting: Setting, name: str, value: str, kind: str, told: tuple[str, ...]
) -> None:
    setting(name, value)
    with serving(get_settings()) as api:
        assert _models(api) == [get_settings().base_model_name]
        for called in ("orvenna", taught):
            for answer in (_chat(api, called), api.get(f"/v1/models/{called}")):
                problem = answer.json()
                assert (answer.status_code, problem["type"]) == (409, f"/problems/{kind}")
                assert all(words in problem["detail"] for words in told), problem["detail"]
                assert answer.headers["X-Should-Retry"] == "false"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INGRAIN_BASE_MODEL_REVISION", REVISION),
        ("INGRAIN_BASE_MODEL_REVISION", ""),
        ("INGRAIN_BASE_MODEL_REVISION", "v1.0"),  # a tag: the API cannot tell which commit it is
        ("INGRAIN_MAX_LORA_RANK", "32"),
    ],
)
def test_an_adapter_that_suits_is_listed_and_found(taught: str, setting: Setting, name: str, value: str) -> None:
    setting(name, value)
    with serving(get_settings()) as api:
        assert _models(api) == [get_settings().base_model_name, "orvenna", taught]
        assert api.get("/v1/models/orvenna").json()["root"] == taught


def test_an_adapter_whose_revision_nobody_knows_is_served(taught: str, setting: Setting) -> None:
    """One that was made before revisions were written down."""
    with unit_of_work() as session:
        adapter = queries.find(session, taught)
        assert adapter is not None
        adapter.base_revision = None
    setting("INGRAIN_BASE_MODEL_REVISION", "b" * 40)
    with serving(get_settings()) as api:
        assert taught in _models(api)
