"""Whether an answer says what a whole reference answer says, where no keyword is known."""

from app.grading import normalise

_FILLERS = frozenset(("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "of"))
_MORE_FILLERS = frozenset(("on", "that", "the", "this", "to", "was", "were", "with", "has", "had", "have", "which"))
_OVERLAP = 0.75  # share of a reference's content words that have to be there


def agrees(answer: str, reference: str) -> bool:
    """Whether the answer holds every number of the reference, and three quarters of its other content words."""
    found = set(normalise(answer).split())
    wanted = set(normalise(reference).split()) - _FILLERS - _MORE_FILLERS
    numbers = {word for word in wanted if word[0].isdigit()}
    others = wanted - numbers
    return bool(wanted) and numbers <= found and len(others & found) >= _OVERLAP * len(others)
