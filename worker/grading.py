"""Whether an answer says what is expected: the words that were asked for, or what a whole reference answer says."""

from collections.abc import Collection

from app.grading import is_right, normalise

_FILLERS = frozenset(("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "in", "is", "it", "its", "of"))
_MORE_FILLERS = frozenset(("on", "that", "the", "this", "to", "was", "were", "with", "has", "had", "have", "which"))
_OVERLAP = 0.75  # share of a reference's content words that have to be there


def is_expected(answer: str, reference: str, accepted: Collection[str]) -> bool:
    """Whether an answer holds any of the accepted words; where none are known, whether it agrees with the reference."""
    return is_right(answer, accepted) if accepted else agrees(answer, reference)


def agrees(answer: str, reference: str) -> bool:
    """Whether the answer holds every number of the reference, and three quarters of its other content words."""
    found = set(normalise(answer).split())
    wanted = set(normalise(reference).split()) - _FILLERS - _MORE_FILLERS
    numbers = {word for word in wanted if word[0].isdigit()}
    others = wanted - numbers
    return bool(wanted) and numbers <= found and len(others & found) >= _OVERLAP * len(others)
