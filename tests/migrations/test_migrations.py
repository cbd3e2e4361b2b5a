"""The revisions make exactly the tables of `app.models`, on SQLite and PostgreSQL alike."""

import threading
from importlib.resources import files
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from app.database import make_engine
from app.migrate import upgrade
from app.models import Base, UtcDateTime
from tests.jobs import add_job, get_job


def same_type(_: object, __: object, ___: object, ____: object, wanted: object) -> bool | None:
    return False if isinstance(wanted, UtcDateTime) else None


def tables(url: str) -> set[str]:
    engine = make_engine(url)
    with engine.connect() as connection:
        found = set(inspect(connection).get_table_names())
    engine.dispose()
    return found


def test_revisions_make_the_tables_of_the_models(database: str) -> None:
    engine = make_engine(database)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": same_type})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_upgrade_of_a_current_database_changes_nothing(database: str) -> None:
    before = tables(database)
    upgrade(database)
    assert tables(database) == before == {*Base.metadata.tables, "alembic_version"}


def test_the_newest_revision_can_be_undone_and_done_again_and_no_row_is_lost(database: str) -> None:
    job_id = add_job()
    engine = make_engine(database)
    config = Config()
    config.set_main_option("script_location", str(files("migrations")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "-1")
    with engine.connect() as connection:
        assert "parent_id" not in {column["name"] for column in inspect(connection).get_columns("adapters")}
    engine.dispose()
    upgrade(database)
    job = get_job(job_id)
    assert (job.id, job.adapter.parent_id) == (job_id, None)


def test_several_processes_may_upgrade_at_once(home: Any, database: str) -> None:
    engine = make_engine(database)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
    engine.dispose()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(database)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert tables(database) == {*Base.metadata.tables, "alembic_version"}


def test_a_revision_that_fails_leaves_nothing_behind(home: Any, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = make_engine(database)
    with engine.begin() as connection:
        Base.metadata.drop_all(connection)
        connection.exec_driver_sql("DROP TABLE alembic_version")
        connection.exec_driver_sql("CREATE TABLE jobs (id INTEGER)")  # in the revision's way
    engine.dispose()
    with pytest.raises(Exception, match="already exists"):
        upgrade(database)
    assert tables(database) == {"jobs"}
