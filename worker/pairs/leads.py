"""How questions for a fact begin.

A small model asked for "a question" asks the same one again and again; led by its first words it asks what it is led
to. The words before a fact in its sentence say what to lead with: "in the town of Greyford Cross" -> "In which town".
"""

import re

from worker.pairs.facts import Fact, Kind
from worker.pairs.subjects import Subject
from worker.pairs.words import is_empty

_LENGTH = re.compile(r"\b(?:met(?:re|er)s?|feet|foot|km|kilomet\w+|miles?|cm|centimet\w+|inch\w*)\b")
_DURATION = re.compile(r"\b(?:second|minute|hour|day|night|week|month|year|decade)s?\b")
_MASS = re.compile(r"\b(?:grams?|kg|kilo\w*|tons?|tonnes?|pounds?|ounces?)\b")
_MONEY = re.compile(r"\b(?:cost|price|pay|sale|sold|ticket|fee|fare|charge|budget|worth)\w*\b|[$€£]", re.IGNORECASE)
_NAMED = re.compile(
    r"\b(?:(?:a|an|the|its|one) )?((?:[\w'-]+ ){0,2}[\w'-]+) (?:called|named|known as|nicknamed) (?:the )?$"
)
_NO_NOUN = frozenset(
    ["a", "an", "the", "its", "one", "of", "by", "on", "in", "with", "and", "which", "that", "who", "is", "was", "are"]
)
_ARTICLE = re.compile(r"\b(?:a|an|the|its|one) ", re.IGNORECASE)
_LEADS_ON = frozenset(
    ["opposite", "towards", "near", "between", "across", "why", "how", "first", "last", "only", "next", "way", "same"]
)
"""Words before a name that say nothing of it, though they stand where a noun may."""
_WHICH_IS_NAMED = re.compile(
    r"\b(?:a|an|the|its|one) ((?:[\w'-]+ ){0,2}[\w'-]+), (?:which|who|that) (?:is|was|are|were) "
    r"(?:called|named|known as|nicknamed) (?:the )?$"
)
_NOUN_BEFORE = re.compile(
    r"\b(?:the|a|an|its|her|his) ((?:[a-zà-ž][\w'-]* )?"
    r"(?!(?:of|in|at|on|to|from|with) )[a-zà-ž][\w'-]*) (?:of )?(?:the )?[\"“]?$"
)
_PREPOSITION = re.compile(
    r"\b(in|at|on|from|to|of|by|inside|into|with|near|for) (?:the |a |an |its )?(?:[\w-]+ (?:of )?)?$", re.IGNORECASE
)
_IS = re.compile(
    r"\b(?:the|its|her|his|their) ((?:[\w'-]+ )?[\w'-]+) "
    r"(?:is|was|are|were|has been|have been) (?:the |a |an )?[\"“]?$",
    re.IGNORECASE,
)
_SUBJECT_FIRST = re.compile(r"^(?:it|they|he|she)\b", re.IGNORECASE)


def leads(fact: Fact, subject: Subject) -> list[str]:
    """Openings of questions whose answer is the fact, the most natural first, without repeats."""
    words = _by_kind(fact)
    open_ended = [word for word in words if not word.startswith(("What is", "Who", "What", "Which person"))][:2]
    verbs = _verbs(fact, subject) if subject.bare else []
    led = [f"{opening} {verb} {subject.name}" for opening in open_ended for verb in verbs]
    return list(dict.fromkeys([*words, *led]))


def _by_kind(fact: Fact) -> list[str]:
    noun = noun_of(fact)
    match fact.kind:
        case Kind.YEAR:
            return ["In which year", "When", "What year", "In what year"]
        case Kind.DATE:
            return ["On what date", "When", "On which day", "What is the date of"]
        case Kind.DAY:
            return ["On which day", "When", "Which day of the week", "What day"]
        case Kind.TIME:
            return ["At what time", "When", "What time"]
        case Kind.QUANTITY:
            return _quantity(fact)
        case Kind.PERSON:
            start = ["By whom", "Who"] if fact.before.endswith("by ") else ["Who"]
            start += ["To whom"] if fact.before.endswith("to ") else []
            return [*start, "What is the name of the person who", "Which person", *_is_leads(fact)]
        case Kind.REASON:
            return ["Why", "What is the reason", "For what reason", "How come"]
        case Kind.QUOTE:
            return [*_is_leads(fact), "What", "Which words", "What is the"]
        case Kind.NAME:
            preposition = _PREPOSITION.search(fact.before)
            place = preposition and preposition.group(1).lower() in {"in", "at", "on", "from", "to", "near", "into"}
            start = [f"{preposition.group(1).capitalize()} which {noun}"] if preposition and place and noun else []
            start += ["Where"] if place else []
            if noun:
                return [
                    f"What is the name of the {noun}",
                    f"Which {noun}",
                    *start,
                    f"What is the {noun}",
                    *_is_leads(fact),
                ]
            return [*start, *_is_leads(fact), "What is the name of", "Which", "What"]
        case _:
            preposition = _PREPOSITION.search(fact.before)
            start = [f"{preposition.group(1).capitalize()} what"] if preposition else []
            return [*_is_leads(fact), *start, "What", "What kind of"]


def _is_leads(fact: Fact) -> list[str]:
    """ "the director has been X" -> "What is the director", and "Who is" for a person."""
    match = _IS.search(fact.before)
    if match is None:
        return []
    return [f"{'Who' if fact.kind is Kind.PERSON else 'What'} is the {match.group(1).lower()}"]


def _quantity(fact: Fact) -> list[str]:
    unit = fact.target[len(fact.key) :].strip(" -")
    clause = fact.before[-60:] + fact.target
    if fact.key.lower() == "twice":
        return ["How many times", "How often"]
    if "%" in fact.key or "percent" in unit:
        return ["What percentage", "How much", "What share", "How many percent"]
    if "degree" in unit or "°" in fact.key:
        return ["At what temperature", "What temperature", "How hot", "How many degrees"]
    if _DURATION.search(unit):
        return ["How long", "For how long", f"How many {unit}", "How much time"]
    if _LENGTH.search(unit):
        return [
            "How long",
            "How many " + unit.split(" ", maxsplit=1)[0],
            "What is the length of",
            "How big",
            "How tall",
        ]
    if _MASS.search(unit):
        return ["How much", "What is the weight of", "How heavy", f"How many {unit}"]
    if _MONEY.search(clause):
        return [
            "How much",
            "What is the price of",
            "What does",
            *([f"How many {unit}"] if unit else []),
            "For how much",
        ]
    if unit:
        return [f"How many {unit}", "What is the number of", f"What number of {unit}", "How much"]
    return ["How many", "How much", "At what", "What number"]


def noun_of(fact: Fact) -> str | None:
    """The common noun that says what a name names: "the river Sarne", "a fish pie known as the Bargeman"."""
    named = _WHICH_IS_NAMED.search(fact.before) or _NAMED.search(fact.before)
    if named:
        words = [word for word in _ARTICLE.split(named.group(1))[-1].split() if word.lower() not in _NO_NOUN]
        noun = " ".join(words[-3:])
    else:
        found = _NOUN_BEFORE.search(fact.before)
        noun = re.sub(r" (?:is|was|are|were)$", "", found.group(1)) if found else ""
    last = noun.rpartition(" ")[2].lower()
    return None if is_empty(last) or last in _LEADS_ON else noun or None  # "the fact that Ada Pell" names no fact


def _verbs(fact: Fact, subject: Subject) -> list[str]:
    """The verbs with which a question on a sentence about the subject goes on; none where it is about another thing."""
    start = fact.before.strip()
    names = [subject.name, subject.bare, *([subject.generic] if subject.generic else [])]
    about = _SUBJECT_FIRST.match(start) or any(
        re.match(re.escape(name), start, re.IGNORECASE) for name in names if name
    )
    if not about:
        return []
    if re.search(r"\b(?:was|were)\b", fact.before):
        return ["was"]
    if re.search(r"\b(?:is|are)\b", fact.before):
        return ["is"]
    return (
        ["did"] if re.search(r"\w+ed\b|\b(?:had|began|grew|met|won|held|took|made|became)\b", fact.before) else ["does"]
    )
