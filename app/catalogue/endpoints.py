"""HTTP of models, in OpenAI's shapes."""

from fastapi import APIRouter

from app.catalogue import service
from app.catalogue.schemas import ModelList, ModelView
from app.dependencies import Database, Parts
from app.errors import AdapterNotReady, Conflict, UnknownModel, WrongBaseModel
from app.problems import problems

router = APIRouter(prefix="/models", tags=["chat"])


@router.get("", operation_id="listModels", summary="List what can answer")
def list_models(session: Database, parts: Parts) -> ModelList:
    """The base model, every alias and every adapter that is ready, was made for the base model and can be served."""
    return service.list_models(session, parts.settings)


@router.get(
    "/{model:path}",
    operation_id="getModel",
    summary="Get a model",
    responses=problems(UnknownModel, AdapterNotReady, WrongBaseModel, Conflict),
)
def get_model(model: str, session: Database, parts: Parts) -> ModelView:
    """One model, by its id, its alias, or the base model's name, which may hold slashes."""
    return service.get_model(session, parts.settings, model)
