"""Pydantic's findings as errors that a person can act on: the field's dotted path and a sentence."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from app.errors import IngrainError, InvalidInput, InvalidRequest, InvalidSettings
from app.jobs.settings import JobSettings

Model = TypeVar("Model", bound=BaseModel)

MAX_METADATA_BYTES: Final = 16_384
_PLACES: Final = {"body", "query", "path", "header", "cookie"}


def validate(model: type[Model], data: object) -> Model:
    """`data` as a `model`.

    Raises:
        InvalidInput, InvalidSettings: with each field that is wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise from_validation(error.errors()) from None


def from_validation(findings: Iterable[Mapping[str, Any]], *, as_openai: bool = False) -> IngrainError:
    """The error for what Pydantic found. OpenAI's routes answer 400 where the others answer 422."""
    errors = [{"field": _path(finding["loc"]), "detail": _sentence(finding)} for finding in findings]
    first = errors[0]
    extra = {"errors": errors} if len(errors) > 1 else {}
    detail = first["detail"] if len(errors) == 1 else f"{first['detail']} ({len(errors)} fields are wrong; see errors.)"
    if any(finding["type"] == "json_invalid" for finding in findings):
        return InvalidRequest(f"The body is not valid JSON: {_json_fault(findings)}. Send a JSON object.")
    field = None if first["field"] == "body" else first["field"]
    if as_openai:
        return InvalidRequest(detail, field=field, extra=extra)
    kind = InvalidSettings if first["field"].split(".")[0] == "settings" else InvalidInput
    return kind(detail, field=field, extra=extra)


def _json_fault(findings: Iterable[Mapping[str, Any]]) -> str:
    finding = next(finding for finding in findings if finding["type"] == "json_invalid")
    place = finding["loc"][-1]
    fault = str(finding.get("ctx", {}).get("error", "it cannot be parsed"))
    return f"{fault} at character {place}" if isinstance(place, int) else fault


def _path(location: Sequence[str | int]) -> str:
    parts = list(location)
    place = parts.pop(0) if parts and parts[0] in _PLACES else "body"
    return ".".join(str(part) for part in parts) or str(place)


def _sentence(finding: Mapping[str, Any]) -> str:
    path = _path(finding["loc"])
    kind, given = finding["type"], finding.get("input")
    if kind == "missing":
        return "The request has no body; send a JSON object." if path == "body" else f"'{path}' is missing."
    if kind == "extra_forbidden":
        return _unknown_field(path)
    message = str(finding["msg"])
    if kind == "value_error":
        message = message.removeprefix("Value error, ")
        return f"{message[0].upper()}{message[1:]}." if path == "body" else f"'{path}': {message}."
    if message.startswith("Input should"):
        return f"'{path}' must{message.removeprefix('Input should')}{_quoted(given)}."
    return f"'{path}': {message[0].lower()}{message[1:]}{_quoted(given)}."


def _quoted(value: object) -> str:
    if isinstance(value, Mapping | list | tuple) or value is None:
        return ""
    text = repr(value)
    return f", not {text}" if len(text) <= 80 else ""


def _unknown_field(path: str) -> str:
    parent, _, name = path.rpartition(".")
    if parent != "settings":
        return f"'{path}' is not a field of this request."
    known = sorted(JobSettings.model_fields)
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"'{name}' is not a setting.{hint} The settings are: {', '.join(known)}."


def clean_text(value: str) -> str:
    """A one-line text of a user. Databases refuse NUL, and control characters confuse terminals."""
    if any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in value):
        raise ValueError("it must be one line without control characters")
    whole_text(value)
    if not value.strip():
        raise ValueError("it must not be blank")
    return value.strip()


def whole_text(value: str) -> str:
    """A text that can be written as UTF-8. JSON can escape half of a surrogate pair, which is no character."""
    if any(0xD800 <= ord(character) <= 0xDFFF for character in value):
        raise ValueError("it must not hold half surrogate pairs")
    return value


def clean_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """Metadata that can be written as JSON, and read back as it was, from any database."""
    _check_json(value)
    if len(json.dumps(value)) > MAX_METADATA_BYTES:
        raise ValueError(f"it may be at most {MAX_METADATA_BYTES} bytes of JSON")
    return value


def _check_json(value: object, depth: int = 0) -> None:
    if depth > 10:
        raise ValueError("it may be nested at most 10 deep")
    if isinstance(value, str):
        if "\0" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):
            raise ValueError("it must not hold NUL characters or half surrogate pairs")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("it must not hold NaN or infinities")
    elif isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError("its whole numbers must fit in 64 bits")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            _check_json(key, depth)
            _check_json(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_json(item, depth + 1)
