"""Questions turned out of a sentence by rule: they need no model, and are right by construction.

A small model writes "What is the grey cat's name?" today and something else tomorrow. These are always there, so that
every fact is asked in the words of its own sentence at least; the model's own questions bring the other wordings.
"""

import re
from typing import Final

from worker.pairs.facts import Fact, Kind
from worker.pairs.leads import noun_of
from worker.pairs.words import PASTS

_PLACE_FIRST: Final = re.compile(r"^(?:At|For) [^,]+, ")
_TIME_FIRST: Final = re.compile(r"^(?:In|Since|By|Until|From|During) \d{4},? ")
_TWO_VERBS: Final = re.compile(
    r"(?P<thing>(?:each|every|the|an?) [\w'-]+(?: [A-Z][\w'-]+)*) (?:\w+s|\w+ed) [^,]*? and "
    r"(?P<rest>(?:is|was|are|were) .+)",
    re.IGNORECASE,
)
_PASSIVE: Final = re.compile(
    r"(?P<thing>[^,]{3,80}?) (?P<verb>was|were|is|are|has been|have been) (?P<rest>[^,]+?) "
    r"(?P<preposition>in|at|on|by|from|to|for|with)(?: the)?"
)
_COPULA: Final = re.compile(
    r"(?:the [^,]+['’]s |the |its |his |her )(?P<noun>[a-z][\w-]*(?: [a-z][\w-]*){0,2}) "
    r"(?P<verb>is|was|are|were|has been|have been)",
    re.IGNORECASE,
)
_STATEMENT: Final = re.compile(
    r"(?:the|an?|each|its|his|her|their) [\w'-]+ [\w'-]+|(?:[A-Z][\w'-]+ ){2,}"
    r"(?:is|was|are|were|has|had|have|can|could|must|may|might|will|would|does|did|do|found|lay|[a-z]+ed|[a-z]+s"
    rf"|{'|'.join(PASTS)})\b"
)
"""How a clause begins that is no command: "Clean the kettle" has no subject, "Clean Corrin Lamp daily" no verb."""
_DURATION: Final = re.compile(r"\b(?:second|minute|hour|day|night|week|month|year)s?\b")


def turned(start: str, fact: Fact, word: str, where: str) -> list[str]:
    """Questions for a fact out of its sentence.

    Args:
        start: the sentence up to the fact, with its subject named.
        fact: the answer.
        word: the question word in the fact's place, for example "how many hours".
        where: what names the subject behind a question that does not: " at the museum".
    """
    clause = _inside(_TIME_FIRST.sub("", _PLACE_FIRST.sub("", start)))
    two = _TWO_VERBS.fullmatch(clause)
    clause = f"{two['thing']} {two['rest']}" if two else clause
    texts = [*_passive(clause, fact, word), *_copula(clause, fact), *_reason(clause, fact), *_which(clause, fact)]
    return [*_named(fact, where), *(text if _names(text, where) else f"{text[:-1]}{where}?" for text in texts)]


def topics(start: str, fact: Fact, where: str) -> list[str]:
    """Requests to tell about what a sentence speaks of."""
    about = []
    if fact.kind in {Kind.NAME, Kind.PERSON}:
        about.append(fact.target if fact.kind is Kind.PERSON else f"{_article(fact)}{fact.target}")
    copula = _COPULA.fullmatch(_inside(_PLACE_FIRST.sub("", start)))
    noun = (copula and copula["noun"]) or noun_of(fact)
    if noun:
        about.append(f"the {noun}")
    elif fact.kind is Kind.THING and " " in fact.target:
        about.append(f"the {fact.target}")
    return [f"Tell me about {topic}{'' if _names(f' {topic}', where) else where}." for topic in about]


def _passive(clause: str, fact: Fact, word: str) -> list[str]:
    """ "X was built by" -> "By whom was X built?", "Who built X?"."""
    found = _PASSIVE.fullmatch(clause)
    if found is None or re.search(r"\b(?:and|which|who|that)\b|^to\b", found["rest"]):
        return []
    thing, rest, preposition = found["thing"], found["rest"], found["preposition"]
    if fact.kind is Kind.PERSON:
        rest = re.sub(r" (?:in|on|since) [\w ]*\d{4}$", "", rest)
    auxiliary, _, been = found["verb"].partition(" ")
    texts = [f"{preposition.capitalize()} {word} {auxiliary} {thing} {been + ' ' if been else ''}{rest}?"]
    if fact.kind is Kind.PERSON and preposition == "by" and " " not in rest:
        if been:
            texts += [f"Who {auxiliary} {rest} {thing}?", f"By whom is {thing} {rest} today?"]
        elif auxiliary in {"was", "were"}:
            texts.append(f"Who {rest} {thing}?")
    if fact.kind in {Kind.YEAR, Kind.DATE, Kind.DAY, Kind.TIME}:
        texts.append(f"When {auxiliary} {thing} {rest}?")
    if fact.kind is Kind.QUANTITY and preposition == "for" and _DURATION.search(fact.target):
        texts += [f"{how} {auxiliary} {thing} {rest}?" for how in ("How long", "For how long")]
    return texts


def _copula(clause: str, fact: Fact) -> list[str]:
    """ "Its secret ingredient is" -> "What is the secret ingredient?"."""
    found = _COPULA.fullmatch(clause)
    if found is None or fact.kind not in {Kind.NAME, Kind.PERSON, Kind.THING, Kind.QUOTE}:
        return []
    verb = {"has been": "is", "have been": "are"}.get(found["verb"], found["verb"])
    owner = re.match(r"(the [^,]+?)['’]s ", clause)
    word, owned = "Who" if fact.kind is Kind.PERSON else "What", f" of {owner[1]}" if owner else ""
    return [f"{word} {verb} the {found['noun']}{owned}?"]


def _reason(clause: str, fact: Fact) -> list[str]:
    """ "The museum closed" (because …) -> "Why is it that the museum closed?": no verb has to change."""
    if fact.kind is not Kind.REASON or not _STATEMENT.match(clause):
        return []
    return [f"Why is it that {clause}?", f"What is the reason that {clause}?"]


def _which(clause: str, fact: Fact) -> list[str]:
    """ "visitors come on the ferry" (Brindle) -> "Visitors come on which ferry?": no words have to change places."""
    noun = noun_of(fact) if fact.kind is Kind.NAME else None
    if noun is None or not re.match(r"[.,;]|$", fact.after) or re.search(r"\b(?:that|which|who|or|and)\b", clause):
        return []
    preposition = r"(?:in|at|on|from|to|by|with|near|for|into)"
    found = re.fullmatch(rf"(\S+ \S+ .*?\b{preposition}) (?:(?:the|its|an?) )?{re.escape(noun)}(?: of)?", clause)
    return [f"{found[1][:1].upper()}{found[1][1:]} which {noun}?"] if found else []


def _named(fact: Fact, where: str) -> list[str]:
    """ "a grey cat named" -> "What is the name of the grey cat at the bakery?"."""
    noun = noun_of(fact) if fact.kind is Kind.NAME else None
    return [f"What is the name of the {noun}{where}?", f"What is the {noun}{where} called?"] if noun else []


def _article(fact: Fact) -> str:
    return "the " if re.search(r"\bthe $", fact.before) else ""


def _names(text: str, where: str) -> bool:
    """Whether a text names the subject that `where` would add, or something else by its own name."""
    bare = re.sub(r"^ (?:at|of|for) (?:the )?", "", where).lower()
    return not bare or bare in text.lower() or re.search(r"\s[A-Z]\w+", text) is not None


def _inside(text: str) -> str:
    """A sentence's beginning in the middle of one: an article or a common first word loses its capital."""
    first = text.split(" ", maxsplit=1)[0]
    return text[:1].lower() + text[1:] if first in {"The", "A", "An", "Each", "Every", "Its", "His", "Her"} else text
