"""What Alembic runs: the revisions, in one transaction, on the connection that `app.migrate` opened or on its own."""

from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from alembic.autogenerate.api import AutogenContext
from sqlalchemy import Connection

from app.database import make_engine
from app.models import Base, UtcDateTime
from app.settings import get_settings


def render_type(kind: str, type_: Any, _: AutogenContext) -> str | Literal[False]:
    """Write the column types of `app.models` as plain SQL types, so that a revision outlives the code."""
    if kind == "type" and isinstance(type_, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def compare_type(_: object, __: object, ___: object, found: object, wanted: object) -> bool | None:
    """A UtcDateTime is a timestamp with time zone; all else is compared by Alembic itself."""
    if isinstance(wanted, UtcDateTime):
        return not isinstance(found, sa.DateTime)
    return None


def run(connection: Connection) -> None:
    """Bring the database to the wanted revision, all or nothing, also on SQLite."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        transactional_ddl=True,
        render_as_batch=True,
        render_item=render_type,
        compare_type=compare_type,
    )
    with context.begin_transaction():
        context.run_migrations()


given: Connection | None = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with make_engine(get_settings().resolved_database_url).begin() as own:
        run(own)
