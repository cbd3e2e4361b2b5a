"""Bring the database's tables to the newest revision: what `ingrain migrate` and `ingrain up` do first."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import func, select

from app.database import make_engine
from app.settings import get_settings

# Any number will do that no one else uses: upgrades of several processes wait for each other on it (PostgreSQL).
_ADVISORY_LOCK = 4_708_517_235


def upgrade(url: str | None = None, revision: str = "head") -> None:
    """Upgrade the database to `revision`: in one transaction, so that it is done or not begun.

    Safe to run in several processes at once: on PostgreSQL they wait for an advisory lock, on SQLite for the write
    lock. A database that is up to date is left as it is.
    """
    engine = make_engine(url or get_settings().resolved_database_url)
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
    finally:
        engine.dispose()
