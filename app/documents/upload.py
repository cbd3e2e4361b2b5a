"""A document as it comes in: JSON, or a file in a form. Either way the same fields, checked by the same rules."""

import json
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from app.documents import text as texts
from app.documents.schemas import NewDocument
from app.errors import InvalidInput, InvalidRequest, UnsupportedMediaType
from app.requests import too_large
from app.validation import validate

_MARKDOWN: Final = {".md", ".markdown"}
_FORM_FIELDS: Final = ("title", "external_id", "make_adapter", "alias", "parent", "settings", "metadata")


@dataclass(frozen=True, slots=True)
class Upload:
    """A document that was read and found good, save for its words.

    Attributes:
        original: the bytes as they were sent.
        new: the fields, with `text` decoded.
        field: where the text came from, for errors: "text" or "file".
    """

    original: bytes
    new: NewDocument
    media_type: str
    field: str
    file_name: str | None


async def read_upload(request: Request, max_bytes: int) -> Upload:
    """Read the request's document.

    Raises:
        UnsupportedMediaType, InvalidRequest, InvalidInput, InvalidDocument, DocumentTooLarge: it cannot be used.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "application/json":
        return _from_json(await request.body(), max_bytes)
    if media_type == "multipart/form-data":
        async with request.form(max_files=1, max_fields=len(_FORM_FIELDS) + 1) as form:
            return await _from_form(form, max_bytes)
    raise UnsupportedMediaType(
        f"A document comes as application/json or multipart/form-data, not as {media_type or 'a body without a type'}.",
        headers={"Accept": "application/json, multipart/form-data"},
    )


def _from_json(body: bytes, max_bytes: int) -> Upload:
    fields = _parse_json(body, "The body")
    if not isinstance(fields, dict):
        raise InvalidRequest("The body must be a JSON object with at least a 'text'.")
    new = validate(NewDocument, fields)
    text = texts.clean(new.text, "text")
    original = new.text.encode()
    if len(original) > max_bytes:
        raise too_large(max_bytes)
    return Upload(original, new.model_copy(update={"text": text}), "text/plain", "text", None)


async def _from_form(form: FormData, max_bytes: int) -> Upload:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        given = "is not a file" if file is not None else "is missing"
        raise InvalidInput(f"'file' {given}. Send one, for example with curl -F file=@document.md.", field="file")
    if (file.size or 0) > max_bytes:
        raise too_large(max_bytes)
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name == "file":
            continue
        if isinstance(value, UploadFile) or name not in _FORM_FIELDS:
            allowed = ", ".join(("file", *_FORM_FIELDS))
            raise InvalidInput(f"{name!r} is not a field of this form; it has {allowed}.", field=name)
        if name in {"settings", "metadata"}:
            fields[name] = _parse_field(name, value)
        else:
            fields[name] = value
    original = await file.read()
    fields["text"] = texts.decode(original, "file")
    is_markdown = PurePosixPath(file.filename or "").suffix.lower() in _MARKDOWN
    media_type = "text/markdown" if is_markdown else "text/plain"
    return Upload(original, validate(NewDocument, fields), media_type, "file", file.filename or None)


def _parse_field(name: str, value: str) -> object:
    try:
        return _parse_json(value.encode(errors="replace"), f"'{name}'")
    except InvalidRequest as error:
        raise InvalidInput(error.detail, field=name) from None


def _parse_json(data: bytes, what: str) -> object:
    """Whatever is wrong, from a missing bracket to a thousand of them, is the client's to mend."""
    try:
        return json.loads(data)
    except json.JSONDecodeError as error:
        fault = f"{error.msg} at character {error.pos}"
        raise InvalidRequest(f"{what} is not valid JSON: {fault}.") from None
    except UnicodeDecodeError:
        raise InvalidRequest(f"{what} is not valid JSON: it is not UTF-8.") from None
    except RecursionError:
        raise InvalidRequest(f"{what} is nested too deep.") from None
    except ValueError as error:
        raise InvalidRequest(f"{what} cannot be read: {error}.") from None
