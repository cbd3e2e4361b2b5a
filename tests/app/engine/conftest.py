"""A real engine for the client: the embedded one, with a tiny model."""

from tests.engine.conftest import _engine, engine, folders, loaded

__all__ = ["_engine", "engine", "folders", "loaded"]
