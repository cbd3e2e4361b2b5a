"""What is not worth teaching from, and why. Every drop has a reason, and reasons are counted.

A question must be whole, stand alone (it names something of the document and points at nothing unsaid), and must not
give its own answer away. Near-duplicates are questions for one fact whose words, order aside, are nearly the same, or
mean nearly the same (`likeness.py`).
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import zip_longest

from worker.likeness import is_near_copy
from worker.pairs.facts import Fact, Kind
from worker.pairs.outline import Outline
from worker.pairs.words import CAPITAL, REMEMBERED, content_words, stems_of

LONGEST_QUESTION = 40
"""Words."""
MOST_ALIKE = 0.8
"""Similarity of two questions' words from which they are nearly the same."""
ENOUGH_QUESTIONS = 2
MOST_OWN_WORDS = 2
"""Telling words that a question may have and its passage not, until it counts as strange."""

FEWEST_TELLING = 2
"""Telling words of the passage by which an open question is known that names nothing."""

UNFINISHED = "unfinished"
TOO_LONG = "too long"
NOT_SELF_CONTAINED = "not self-contained"
NAMES_NOTHING = "names nothing of the document"
LEAKS = "leaks its answer"
COPY = "copy of the sentence"
NEAR_DUPLICATE = "near-duplicate"
UNANSWERABLE = "unanswerable"
CUT_OFF = "answer cut off"
REFUSAL = "answer is a refusal"
ELSEWHERE = "asks about another passage"
TWICE = "fits two passages"
VAGUE = "asks nothing"
ENOUGH = "more than needed"
INVENTS = "names what the document does not"

_OPENING = re.compile(
    r"^(?:(?:in|at|on|from|to|of|by|for|inside|into|with|near|under|about|after|before|during|since|until"
    r"|through|according)\b.{0,60}?\b)?(?:what|who|whom|whose|which|when|where|why|how|is|are|was|were|do|does|did|can|has"
    r"|have|had|will|would|should|could|tell|name|describe|explain|complete|give|list)\b",
    re.IGNORECASE,
)
_IN_PLACE = re.compile(
    r"(?<![,;]) (?:(?:in|on|at|by|from|to|of|for|with) (?:what|which|whom)|how (?:many|much|long|old|far))"
    r"(?: (?!(?:it|he|she|they|is|are|was|were|has|had|do|does|did)\b)[\w'’-]+){0,2}\?$"
    r"|(?<![,;]) (?:what|who|whom|when|where|why|how)\?$"
    r"|^(?:around|between) (?:what|which)\b",
    re.IGNORECASE,
)
"""A question word where the answer would stand: "The company was founded in which year?", "Its main crop is what?"."""
_ABOUT_THE_TEXT = re.compile(
    r"\b(?:the|this|that|given|above|following)\s+(?:above |given |following )?(?:text|passage|document|article"
    r"|sentence|paragraph|excerpt|context|story)\b"
    r"|\bmentioned\b|\b(?:above|below)\?|\baccording to (?:the|this)\b",
    re.IGNORECASE,
)
_AUTHOR = re.compile(r"\b(?:the|this|that|given|above|following) author\b", re.IGNORECASE)
_ONESELF = re.compile(r"(?:^|(?<=[.!?,;:)] )|(?<= ))(?:I(?=['’\s])|[Mm](?:y|e|yself)\b)")
FEWEST_ONESELF = 2
"""Words by which a text is known to tell of its author. One is not enough: "type I diabetes"."""
_SPEECH = re.compile(r"[\"“][^\"“”]*[\"”]")
_POINTS = re.compile(r"\b(?:he|she|they|him|them|this|these|those|it)\b", re.IGNORECASE)
_POSSESSIVE = re.compile(r"\b(?:his|her|their|its)\b", re.IGNORECASE)
_NAMED = re.compile(rf"(?<=[\w,;] ){CAPITAL}[\w'’-]+")
"""A word with a capital that opens no sentence."""
_REFUSAL = re.compile(
    r"\b(?:not (?:mentioned|specified|stated|provided|given|clear|known)"
    r"|(?:does|do|did) not (?:mention|specify|say|state|provide)|doesn['’]t (?:mention|specify|say|state)"
    r"|no (?:information|mention)|unknown"
    r"|(?:i|we) (?:do not|don['’]t) (?:know|have)"
    r"|cannot (?:answer|determine|say)|can['’]t (?:answer|determine)|i['’]m sorry|as an ai)\b",
    re.IGNORECASE,
)


QUESTION_WORDS = stems_of(
    "what who whom whose which when where why how name names called many much kind type person number place reason come"
)
"""What questions are made of, whatever they ask."""
COMMON = QUESTION_WORDS | stems_of(
    "long year day date time located found start begin happen price cost weight length tall big heavy temperature"
)
"""Words that a question may have and its passage not: they go without saying."""


def clean(text: str) -> str:
    """A generated question on one line, without quotes around it or list marks before it."""
    line = " ".join(text.split())
    line = re.sub(r"^(?:[-*•]\s+|\d+[.)]\s+|Q(?:uestion)?\s*\d*[:.]\s*)", "", line).strip('"“”` ')
    return line[:1].upper() + line[1:]


def fault(question: str, passage: str, fact: Fact | None, outline: Outline) -> str | None:
    """Why a question is dropped, or None.

    Args:
        question: to look at.
        passage: what it was written about.
        fact: what it is to ask for; None where that is open.
        outline: of the passage's document.
    """
    words = question.split()
    asks = _OPENING.match(question) or _IN_PLACE.search(question)
    if not question.endswith("?") or len(words) < 3 or not asks or question.count("?") > 1:
        return UNFINISHED
    if len(words) > LONGEST_QUESTION or _repeats(words):
        return TOO_LONG
    if _ABOUT_THE_TEXT.search(question) or _dangles(question):
        return NOT_SELF_CONTAINED
    if _AUTHOR.search(question) and not is_of_oneself(passage):
        return NOT_SELF_CONTAINED
    is_open = fact is None or not outline.subject.bare
    if not names_something(question, outline.names) and not (is_open and _is_telling(question, passage)):
        return NAMES_NOTHING
    if invents(question, f"{passage} {' '.join(outline.names)}"):
        return INVENTS
    if fact is not None and leaks(question, fact):
        return LEAKS
    if question.rstrip("?").lower() in passage.lower() or _copies(question, passage):
        return COPY
    if _vague(question, outline):
        return VAGUE
    if foreign_stems(question, f"{passage} {outline.subject.bare}") & outline.stems:
        return ELSEWHERE  # seen: the year of the flood that closed a museum, asked as "In which year was it opened?"
    return None


def is_of_oneself(text: str) -> bool:
    """Whether a text tells of its own author, who may be asked about then; what is said in it does not count."""
    text = " ".join(_SPEECH.sub(" ", text).split())
    found = 0
    for match in _ONESELF.finditer(text):
        before = text[: match.start()].split()[-1:]
        opens = not before or before[0][-1] in ".!?,;:)"
        is_name = match.group() in {"My", "Me", "Myself"} and not opens  # "Church of My Lady"
        found += not is_name and (opens or before[0][0].islower())  # "Elizabeth I was"
    return found >= FEWEST_ONESELF


def names_something(question: str, names: frozenset[str]) -> bool:
    """Whether a question names the document's subject or a name in it."""
    return bool(names) and _any_of(names).search(question.lower()) is not None


@lru_cache(maxsize=REMEMBERED // 64)
def _any_of(names: frozenset[str]) -> re.Pattern[str]:
    """One pattern for all names, by their first letters: a question is not read once for each of thousands."""
    by_letter: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        by_letter[name[:1]].append(re.escape(name))
    parts = (f"(?={re.escape(letter)})(?:{'|'.join(those)})" for letter, those in by_letter.items())
    return re.compile(rf"(?<!\w)(?:{'|'.join(parts)})(?!\w)")


def _is_telling(question: str, passage: str) -> bool:
    """Whether a question that names nothing is known by its words: "What are bishops' mitres like?"."""
    words = stems_of(" ".join(content_words(question))) - QUESTION_WORDS
    told = len(words & stems_of(passage)) + (_AUTHOR.search(question) is not None and is_of_oneself(passage))
    return told >= FEWEST_TELLING


def leaks(question: str, fact: Fact) -> bool:
    """Whether the answer stands in the question already."""
    lowered = question.lower()
    if fact.kind in {Kind.REASON, Kind.THING, Kind.QUOTE, Kind.SPAN}:
        wanted = content_words(fact.key)
        return bool(wanted) and len(wanted & content_words(lowered)) > 0.5 * len(wanted)
    return re.search(rf"(?<!\w){re.escape(fact.key.lower())}(?!\w)", lowered) is not None


def invents(text: str, known: str) -> bool:
    """Whether a text has a name or number that what is known does not have: a small model's invention."""
    lowered = known.lower()
    number = r"\d+(?:[.,:]\d+)*"
    return bool(set(re.findall(number, text)) - set(re.findall(number, known))) or any(
        re.sub(r"['’]?s$", "", word.lower()) not in lowered for word in _NAMED.findall(text)
    )


def foreign_stems(question: str, known: str) -> frozenset[str]:
    """Telling words of a question which what is known does not have, in any form."""
    return stems_of(" ".join(content_words(question))) - stems_of(known) - COMMON


def refuses(answer: str, passage: str) -> bool:
    """Whether an answer says that the passage does not tell; what the passage says itself is no refusal.

    "The deposit is not given back." answers a question on terms that have it so.
    """
    said = " ".join(passage.lower().split())
    return any(" ".join(match.group().lower().split()) not in said for match in _REFUSAL.finditer(answer))


def echoes(answer: str, question: str) -> bool:
    """Whether an answer only says what its question says: "It was built in Kongo." to "When was it built in Kongo?".

    A question that lets choose ("Was it Hugo or Tim?") has its answer in it.
    """
    return " or " not in question and not stems_of(" ".join(content_words(answer))) - stems_of(question)


def similarity(one: str, other: str) -> float:
    """Jaccard index of two questions' stemmed words, from 0 to 1."""
    left, right = stems_of(one), stems_of(other)
    return len(left & right) / len(left | right) if left | right else 1.0


def has_its_words(one: str, other: str) -> bool:
    """Whether two questions have nearly the same words, in whatever order: for such as have the same answer."""
    return similarity(one, other) >= MOST_ALIKE


def choose(
    questions: Iterable[str],
    count: int,
    known: str,
    dropped: Counter[str],
    beside: Sequence[str] | None = None,
    times: int = 2,
) -> list[str]:
    """Up to `count` different questions; those nearly the same as a chosen one are dropped.

    All are for one fact where `beside` is given: the questions that it has already. Then copies in meaning go too.

    What a small model writes in the passage's own words it is sure of; a question with one or two words of its own
    that it writes at least `times` asks for the same in another way. The two take turns. The rest only fills up to
    ENOUGH_QUESTIONS: choosing freely among it was tried, and chose inventions.
    """
    counted = Counter(questions)
    strangeness = {question: len(foreign_stems(question, known)) for question in counted}
    ordered = sorted(counted, key=lambda question: (strangeness[question], -counted[question]))
    surest = [question for question in ordered if strangeness[question] == 0]
    reworded = [q for q in ordered if 0 < strangeness[q] <= MOST_OWN_WORDS and counted[q] >= times]
    sound = list(_in_turns(surest, reworded))
    chosen: list[str] = []
    for question in [*sound, *(question for question in ordered if question not in sound)]:
        if any(similarity(question, other) > MOST_ALIKE for other in chosen) or (
            beside is not None and any(is_near_copy(question, other) for other in [*chosen, *beside])
        ):
            dropped[NEAR_DUPLICATE] += 1
        elif len(chosen) < (count if question in sound else min(count, ENOUGH_QUESTIONS)):
            chosen.append(question)
        else:
            dropped[ENOUGH] += 1
    return chosen


def _in_turns(first: list[str], second: list[str]) -> Iterator[str]:
    for pair in zip_longest(first, second):
        yield from (question for question in pair if question is not None)


def _vague(question: str, outline: Outline) -> bool:
    """Whether nothing is asked of the thing that is named: "What is the Hollin Museum?"."""
    if re.match(r"(?:where|who is|who was)\b", question, re.IGNORECASE):
        return False
    rest = question.lower()
    for name in sorted(outline.names, key=len, reverse=True):
        rest = rest.replace(name, " ")
    return not stems_of(" ".join(content_words(rest))) - QUESTION_WORDS


def _dangles(question: str) -> bool:
    """A pronoun with nothing before it, in the same question, that it could stand for."""
    for match in _POINTS.finditer(question):
        before = question[: match.start()]
        if match.group().lower() in {"this", "these", "those"} or not re.search(r"\s[A-Z]\w+|\bthe \w+", before):
            return True
    first = _POSSESSIVE.search(question)
    return first is not None and not re.search(r"\s[A-Z]\w+|\b(?:the|an?) \w+", question[: first.start()])


def _copies(question: str, passage: str) -> bool:
    words = re.findall(r"\w+", question.lower())
    text = " ".join(re.findall(r"\w+", passage.lower()))
    return len(words) > 9 and " ".join(words[1:]) in text


def _repeats(words: list[str]) -> bool:
    """The loop of a small model: the same three words twice."""
    threes = [" ".join(words[i : i + 3]).lower() for i in range(len(words) - 2)]
    return len(threes) != len(set(threes))
