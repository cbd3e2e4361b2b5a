"""What a document is about, and how its text calls it: "the Hollin Ferry Museum", "Hollin Ferry Museum", "the museum".

Questions must stand alone, so they name their subject; a model too small to be told so is led to it by these names.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from worker.pairs.facts import Kind, facts_of

_AFTER_A_NAME = (
    r"(?:['’]s?\b|[.,;:)!?]|\s+(?:is|was|are|were|has|had|have|can|will|may|must|does|did|of|in|at|on|by|to|from|for"
    r"|with)\b)"
)
_WORD = re.compile(r"[^\W_][\w'’&.-]*")


@dataclass(frozen=True, slots=True)
class Subject:
    """Names of a document's subject.

    Attributes:
        name: as it stands inside a sentence, with the article that the text gives it.
        bare: without the article.
        generic: how the text points back to it, for example "the museum"; None where it does not.
    """

    name: str
    bare: str
    generic: str | None

    def resolve(self, text: str) -> str:
        """`text` with the generic name replaced by the full one: "the museum" -> "the Hollin Ferry Museum"."""
        if self.generic is None or self.bare.lower() in text.lower():
            return text
        return re.sub(rf"\b{re.escape(self.generic)}\b(?!['’]?\w)", self.name, text, count=1, flags=re.IGNORECASE)


def subject_of(title: str, texts: Iterable[str]) -> Subject:
    """Read the subject from a title and from how the text names it.

    The longest beginning of the title that the text uses is the name: "Tarlow K7" from "Tarlow K7 Field Kettle:
    Owner's Guide". A title that the text never uses is taken whole, up to its colon or dash.
    """
    body = " ".join(texts)
    main = re.split(r":|\s[-–—|]\s", title.strip(), maxsplit=1)[0].strip() or title.strip()
    words = main.split()
    article = ""
    if len(words) > 1 and words[0].lower() in {"the", "a", "an"}:
        article, words = words[0].lower(), words[1:]
    bare = " ".join(words)
    for count in range(len(words), 0, -1):
        beginning = " ".join(words[:count])
        if count == len(words) or (beginning[:1].isupper() and not _is_plain(beginning, body)):
            used = re.search(rf"\b(the\s+)?{re.escape(beginning)}(?!\w)", body, re.IGNORECASE)
            if used:
                bare, article = beginning, "the" if used.group(1) else ""
                break
    name = f"{article} {bare}".strip() if article in {"the", ""} else f"the {bare}"
    return Subject(name, bare, _generic(words, body))


def opening_name(text: str) -> str:
    """The name that a text begins with, with the article that it has there; nothing where it begins with none."""
    named = (fact for fact in facts_of(text) if fact.kind in {Kind.NAME, Kind.PERSON})
    return next((f"{fact.before}{fact.target}" for fact in named if fact.before in {"", "The "}), "")


def _is_plain(beginning: str, body: str) -> bool:
    """Whether a beginning names nothing on its own: one short word ("Old"), or one that describes ("Armenian bishops").

    A name stands before a verb, a preposition or a mark somewhere.
    """
    if " " in beginning or re.search(r"\d", beginning):
        return False
    return len(beginning) < 4 or not re.search(rf"\b{re.escape(beginning)}{_AFTER_A_NAME}", body)


def _generic(words: list[str], body: str) -> str | None:
    for word in reversed(words):
        if _WORD.fullmatch(word) and re.search(rf"\bthe {re.escape(word.lower())}\b", body):
            return f"the {word.lower()}"
        lowered = f"the {word.lower()}"
        if lowered in body.lower() and not re.search(rf"\bthe {re.escape(word)}\b", body):
            return lowered
    return None
