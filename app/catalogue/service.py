"""Which names a chat may use, and what the engine calls each."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy.orm import Session

from app.adapters import queries
from app.adapters.service import find_called, not_ready
from app.catalogue.schemas import ModelList, ModelView
from app.errors import Conflict, UnknownModel, WrongBaseModel
from app.models import Adapter, AdapterStatus
from app.settings import Settings

_BASE_CREATED: Final = 1_700_000_000  # nothing tells when a base model was made, and the shape wants a number
_NO_RETRY: Final = {"X-Should-Retry": "false"}  # as for an adapter that is not ready


@dataclass(frozen=True, slots=True)
class Target:
    """What a chat's `model` means.

    Attributes:
        called: the name that the client used.
        adapter_id: the adapter that answers; None: the base model itself.
    """

    called: str
    base_model: str
    adapter_id: str | None
    created: int

    @property
    def engine_name(self) -> str:
        """What the engine calls it."""
        return self.adapter_id or self.base_model


def resolve(session: Session, settings: Settings, name: str) -> Target:
    """What `name` means.

    Raises:
        UnknownModel: it means nothing.
        AdapterNotReady: it means an adapter that cannot answer.
        WrongBaseModel: it means an adapter of a base model, or of a revision of it, that is not served.
        Conflict: it means an adapter whose rank the engine does not serve.
    """
    base = settings.base_model_name
    if name in {base, settings.base_model}:
        return Target(name, base, None, _BASE_CREATED)
    adapter = find_called(session, name)
    if adapter is None:
        raise UnknownModel(
            f"The model {name!r} does not exist: it is neither an adapter's id, an alias nor the base model {base!r}. "
            f"GET /v1/models lists those that can answer.{_held_back(session, name)}",
            field="model",
        )
    if adapter.status != AdapterStatus.READY:
        raise not_ready(adapter, name)
    if refusal := _why_not_served(adapter, settings, name):
        raise refusal
    return Target(name, base, adapter.id, int(adapter.created_at.timestamp()))


def _held_back(session: Session, name: str) -> str:
    """What to add where a degraded adapter was to be called `name`."""
    adapter = queries.find_degraded(session, name) if name.isascii() and name.isprintable() else None
    if adapter is None:
        return ""
    return (
        f" The adapter {adapter.id} was to be called {name!r}, but it is degraded, so it did not get the alias: ask it "
        f"by its id, or point the alias at it with PUT /v1/aliases/{name}."
    )


def _why_not_served(adapter: Adapter, settings: Settings, called: str) -> Conflict | None:
    """Why an adapter that is ready cannot answer on this engine; None if it can. `called`: the client's name for it."""
    base, revision, ceiling = settings.base_model_name, settings.pinned_revision, settings.max_lora_rank
    if adapter.base_model != base:
        return WrongBaseModel(
            f"The adapter {called} was made for the base model {adapter.base_model}, and {base} is served. Set "
            f"INGRAIN_BASE_MODEL back to {adapter.base_model}, or teach the document again.",
            field="model",
            headers=_NO_RETRY,
        )
    if revision and adapter.base_revision and adapter.base_revision != revision:
        return WrongBaseModel(
            f"The adapter {called} was made for the revision {adapter.base_revision} of the base model {base}, and its "
            f"revision {revision} is served. Put the former one back (INGRAIN_BASE_MODEL_REVISION), or teach the "
            "document again.",
            field="model",
            headers=_NO_RETRY,
        )
    if adapter.settings["rank"] > ceiling:
        return Conflict(
            f"The adapter {called} has rank {adapter.settings['rank']}; this engine serves ranks up to {ceiling} "
            "(INGRAIN_MAX_LORA_RANK). Raise it, or teach the document again.",
            field="model",
            headers=_NO_RETRY,
        )
    return None


def get_model(session: Session, settings: Settings, name: str) -> ModelView:
    """The model called `name`.

    Raises:
        UnknownModel, AdapterNotReady, WrongBaseModel, Conflict: as `resolve`.
    """
    target = resolve(session, settings, name)
    parent = None if target.adapter_id is None else target.base_model
    return ModelView(id=name, created=target.created, root=target.engine_name, parent=parent)


def list_models(session: Session, settings: Settings) -> ModelList:
    """All that can answer: the base model, the aliases, and the adapters, newest first."""
    base = settings.base_model_name
    ready = queries.list_ready(session)
    adapters = [adapter for adapter in ready if _why_not_served(adapter, settings, adapter.id) is None]
    created = {adapter.id: int(adapter.created_at.timestamp()) for adapter in adapters}
    names = [
        (alias.name, alias.adapter_id) for alias in queries.list_serving_aliases(session) if alias.adapter_id in created
    ]
    names += [(adapter.id, adapter.id) for adapter in adapters]
    served = [ModelView(id=name, created=created[root], root=root, parent=base) for name, root in names]
    return ModelList(data=[ModelView(id=base, created=_BASE_CREATED, root=base, parent=None), *served])
