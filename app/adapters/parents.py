"""The rules of parents: which adapter can be gone on from, and what its child is made of.

A child's documents are all that its weights and its pairs have anything of. So a parent's document that was replaced is
none of the child's, and then the child may not start from the parent's weights either: see `worker.stages.distil`.
"""

from collections.abc import Sequence

from app.dependencies import Services
from app.errors import Conflict, InvalidInput, WrongBaseModel
from app.jobs.settings import JobSettings, ResolvedSettings
from app.models import Adapter, Document
from app.settings import Settings


def check(parent: Adapter, services: Services) -> None:
    """Whether a child of this ready adapter can be made here.

    Raises:
        WrongBaseModel: it is of another base model, or of another revision of it.
        Conflict: its pairs are not in the store.
    """
    base, revision = services.settings.base_model_name, services.settings.pinned_revision
    if parent.base_model != base:
        raise WrongBaseModel(
            f"The parent {parent.id} was made for the base model {parent.base_model}, and {base} is served. Set "
            f"INGRAIN_BASE_MODEL back to {parent.base_model}, or post without a parent.",
            field="parent",
        )
    if revision and parent.base_revision and parent.base_revision != revision:
        raise WrongBaseModel(
            f"The parent {parent.id} was made for the revision {parent.base_revision} of the base model {base}, and "
            f"its revision {revision} is served. Put the former one back (INGRAIN_BASE_MODEL_REVISION), or post "
            "without a parent.",
            field="parent",
        )
    if not services.store.is_whole(f"jobs/{parent.job.id}/answer"):
        raise Conflict(
            f"The pairs of the parent {parent.id} are not in the store (jobs/{parent.job.id}/answer), so nothing can "
            "be rehearsed. Put them back, or post all documents again without a parent.",
            field="parent",
        )


def documents_of_child(parent: Adapter, documents: Sequence[Document]) -> list[Document]:
    """The new documents, and those of the parent that are still current.

    Raises:
        InvalidInput: the parent knows all of the documents already, or one that it knows was replaced.
    """
    known = {document.id for document in parent.documents}
    for document in documents:
        if document.id in known and document.replaced_by is not None:
            raise InvalidInput(
                f"The document {document.id} was replaced by {document.replaced_by}, so a child of {parent.id} leaves "
                "it out. Do not name it; name the version that is to be learnt instead.",
                field="document_ids",
            )
    new = [document for document in documents if document.id not in known]
    if not new:
        raise InvalidInput(
            f"The parent {parent.id} was made from these documents already: there is nothing new to learn. Give a new "
            "document, or leave the parent out.",
            field="parent",
        )
    return [*(document for document in parent.documents if document.replaced_by is None), *new]


def settings_of_child(
    resolved: ResolvedSettings, chosen: JobSettings, parent: Adapter | None, installation: Settings
) -> ResolvedSettings:
    """The child's settings. A rank that was not chosen is the parent's, so that its weights can be started from."""
    if parent is None or chosen.rank is not None:
        return resolved
    return resolved.model_copy(update={"rank": min(parent.settings["rank"], installation.max_lora_rank)})


def check_no_child_needs(adapter_id: str, children: Sequence[Adapter]) -> None:
    """Whether an adapter can go without leaving a child that was not made yet.

    Raises:
        Conflict: there are such children; it names them.
    """
    if children:
        names = ", ".join(f"{child.id} ({child.status})" for child in children)
        raise Conflict(
            f"The adapter {adapter_id} is the parent of {names}, which needs its pairs until it is ready. Wait for it, "
            "or delete it first.",
            extra={"adapters": [{"id": child.id, "status": child.status} for child in children]},
        )
