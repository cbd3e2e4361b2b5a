"""The schema is the truth: whatever it allows and whatever it forbids gets an answer that it documents."""

import json
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from app.main import create_app
from app.settings import Settings, get_settings
from tests.app.conftest import finish, post, serving


def nothing_unexpected(context: Any, response: Any, case: Any) -> None:
    """No 500. (A 503 is expected where there is no engine, and documented.)"""
    assert response.status_code != 500, response.text


CHECKS = [
    nothing_unexpected,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
EXAMPLES = 20
SCHEMA = create_app(Settings(home=Path("/nowhere"))).openapi()
CASES = [
    pytest.param(method.upper(), path, mode, id=f"{method.upper()} {path} {mode.value}")
    for path, operations in SCHEMA["paths"].items()
    for method, operation in operations.items()
    for mode in GenerationMode
    # where nothing can be given, nothing can be given wrong
    if mode == GenerationMode.POSITIVE or "parameters" in operation or "requestBody" in operation
]


@pytest.mark.parametrize(("method", "path", "mode"), CASES)
def test_every_answer_is_documented(
    sqlite_database: str, tmp_path: Path, method: str, path: str, mode: GenerationMode
) -> None:
    """Against a running service that has a ready adapter, an alias and a document, which half of the requests name."""
    with serving(get_settings()) as client:
        taken = post(client, alias="known")
        finish(taken, tmp_path)
        known = {f"{kind}_id": taken[kind]["id"] for kind in ("document", "adapter", "job")}
        known |= {"name": "known", "model": "known"}
        schema = schemathesis.openapi.from_dict(SCHEMA)
        schema.config.update(base_url=str(client.base_url))

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=schema[path][method].as_strategy(generation_mode=mode))
        def ask(case: Any) -> None:
            for name, value in case.path_parameters.items():
                if len(str(value)) % 2:
                    case.path_parameters[name] = known[name]
            case.call_and_validate(checks=CHECKS, timeout=20)

        ask()


def test_every_operation_is_described_for_people() -> None:
    names = set()
    for path, operations in SCHEMA["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert len(operation["tags"]) == 1, where
            assert operation["operationId"] not in names, where
            names.add(operation["operationId"])
            documented = operation["responses"]
            if path.startswith("/v1"):
                assert {"401", "403"} <= set(documented), where
            for status, answer in documented.items():
                if int(status) >= 400:
                    assert list(answer["content"]) == ["application/problem+json"], where
    assert "HTTPValidationError" not in json.dumps(SCHEMA)
