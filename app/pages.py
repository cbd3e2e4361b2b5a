"""Lists as cursor pages, newest first: stable while new things arrive, and cheap however long the list is."""

from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel, Field

from app.errors import InvalidInput
from app.ids import Kind, is_id

Item = TypeVar("Item")
Row = TypeVar("Row")

Limit = Annotated[int, Query(ge=1, le=100, description="How many to give at most.")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")]


class Page(BaseModel, Generic[Item]):
    """One page of a list."""

    data: list[Item]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null on the last page.")


def cut(rows: Sequence[Row], limit: int, cursor_of: Callable[[Row], str]) -> tuple[Sequence[Row], str | None]:
    """The rows of a page and its next cursor, from up to `limit + 1` rows."""
    page = rows[:limit]
    return page, cursor_of(page[-1]) if len(rows) > limit else None


def id_cursor(kind: Kind, cursor: str | None) -> str | None:
    """A cursor that is the last identifier of the page before.

    Raises:
        InvalidInput: it is not one.
    """
    if cursor is not None and not is_id(kind, cursor):
        raise _foreign(cursor)
    return cursor


def number_cursor(cursor: str | None) -> int:
    """A cursor that is a position in a list that only grows.

    Raises:
        InvalidInput: it is not one.
    """
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 9):
        raise _foreign(cursor)
    return int(cursor)


def _foreign(cursor: str) -> InvalidInput:
    return InvalidInput(f"{cursor!r} is not a cursor of this list; take next_cursor of a page.", field="cursor")
