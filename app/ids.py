"""Identifiers that carry their kind (`doc_`, `job_`, `adp_`) and sort by the time they were made."""

from typing import Literal

from ulid import ULID

Kind = Literal["doc", "job", "adp"]


def new_id(kind: Kind) -> str:
    """A new identifier, for example `doc_01jc2m…`: a kind, then a ULID in lower case (26 characters).

    ULIDs made later sort later, so an identifier is also a cursor for pages in order of creation.
    """
    return f"{kind}_{str(ULID()).lower()}"
