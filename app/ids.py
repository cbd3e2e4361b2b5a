"""Identifiers that carry their kind (`doc_`, `job_`, `adp_`) and sort by the time they were made."""

import re
from typing import Final, Literal

from ulid import ULID

Kind = Literal["doc", "job", "adp"]

_ULID: Final = re.compile(r"[0-7][0-9a-hjkmnp-tv-z]{25}")


def new_id(kind: Kind) -> str:
    """A new identifier, for example `doc_01jc2m…`: a kind, then a ULID in lower case (26 characters).

    ULIDs made later sort later, so an identifier is also a cursor for pages in order of creation.
    """
    return f"{kind}_{str(ULID()).lower()}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether `text` has the form of an identifier of this kind: what has not cannot exist."""
    return text.startswith(f"{kind}_") and _ULID.fullmatch(text, len(kind) + 1) is not None
