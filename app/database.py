"""The database: one engine a process, and one unit of work a request.

A session commits when its block ends and rolls back when it raises; nothing below the service layer commits.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session, sessionmaker

from app.settings import get_settings

_READS_ONLY: Final = {"reads_only": True, "postgresql_readonly": True}


def make_engine(url: str) -> Engine:
    """An engine for `url`. SQLite gets WAL, foreign keys, and waits for locks for up to 30 s."""
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself: see _begin
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        # IMMEDIATE takes the write lock at once, so that a read followed by a write cannot fail half-way. Who only
        # reads takes no lock: WAL gives it the state of its first read, whoever writes meanwhile.
        reads_only = connection.get_execution_options().get("reads_only", False)
        connection.exec_driver_sql(f"PRAGMA query_only={'ON' if reads_only else 'OFF'}")
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


@lru_cache
def _sessions(url: str) -> sessionmaker[Session]:
    return sessionmaker(make_engine(url), expire_on_commit=False)


@contextmanager
def unit_of_work(url: str | None = None, *, reads_only: bool = False) -> Iterator[Session]:
    """A session that commits at the end of the block, or rolls back when the block raises.

    With `reads_only` the database refuses to write, and the session neither waits for those that do nor keeps them
    waiting.
    """
    with _sessions(url or get_settings().resolved_database_url).begin() as session:
        if reads_only:
            session.connection(execution_options=_READS_ONLY)
        yield session
