"""Alembic's revisions of the tables in `app.models`; `app.migrate` runs them."""
