"""The facts of a passage, found by rule: names, numbers with their units, dates, quoted terms, reasons, things.

They are the answers that questions must lead to. Knowing them makes coverage measurable, and what no question has
reached can be asked again. Rules are cheap and never invent; what they miss, free questions about a passage may find.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from worker.pairs.words import CAPITAL, REMEMBERED, SMALL, content_words, is_empty, stems_of


class Kind(StrEnum):
    """What sort of answer a fact is."""

    YEAR = "year"
    DATE = "date"
    DAY = "day"
    TIME = "time"
    QUANTITY = "quantity"
    PERSON = "person"
    NAME = "name"
    QUOTE = "quote"
    REASON = "reason"
    THING = "thing"
    SPAN = "span"
    """Found by no rule here: words that an answer gives (`spans.py`)."""


@dataclass(frozen=True, slots=True)
class Fact:
    """An answer candidate.

    Attributes:
        target: the words of the passage that the answer must give.
        key: the part of `target` that tells a right answer ("460" of "460 model boats").
        before, after: what stands before and behind it in the text that it was found in.
    """

    kind: Kind
    target: str
    key: str
    before: str
    after: str

    @property
    def accepted(self) -> tuple[str, ...]:
        """What a right answer holds one of; nothing where it may say a span in other words."""
        if self.kind is Kind.SPAN:
            return ()
        return (self.target, self.key) if self.key != self.target else (self.target,)


_NAMES = frozenset((Kind.PERSON, Kind.NAME))
_IN_WORDS = _NAMES | {Kind.REASON, Kind.THING, Kind.QUOTE, Kind.SPAN}
"""What is told by its words; the rest by the exact key."""
_MOST_WORDS = 0.6

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
DAYS = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
NUMBER_WORDS = (
    "two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million|half|twice"
)
_DATE = re.compile(rf"\b(?:\d{{1,2}}(?:st|nd|rd|th)? (?:{MONTHS})|(?:{MONTHS}) \d{{1,2}}\b)(?:,? \d{{4}})?")
_DAY = re.compile(rf"\b(?:{DAYS})s?\b")
_HOUR, _MINUTE = r"(?<![\w.,:$€£-])(?:[01]?\d|2[0-4])", r"[0-5]\d(?![\d:%°]|[.,]\d)"
_AM = r" ?[ap]\.?m\b\.?"
_CURRENCIES = "euros?|dollars?|cents?|pence|crowns?|francs?|marks?|EUR|USD|GBP"
_MEASURES = (
    f"{_CURRENCIES}|pounds?|percent|per|million|billion|thousand|times|degrees?"
    "|hours?|minutes?|seconds?|met(?:re|er)s?|miles?|feet|inch(?:es)?|grams?|kilo\\w*|tons?|tonnes?|lit(?:re|er)s?"
    "|km|cm|mm|kg|g|mg|m|l|ml|GB|MB|kB|TB|V|W|kW|A|Hz"
)
_BEFORE_A_TIME = "|".join(
    rf"(?<=\b{word} )"
    for word in ("at", "until", "till", "by", "from", "to", "before", "after", "and", "At", "From", "By")
)
_TIME = re.compile(
    rf"{_HOUR}:{_MINUTE}(?:{_AM})?(?!\w)|{_HOUR}[.]{_MINUTE}{_AM}|{_HOUR}{_AM}|\b(?:noon|midnight)\b"
    rf"|(?:{_BEFORE_A_TIME}){_HOUR}[.]{_MINUTE}(?!\w| ?(?:{_MEASURES})\b)"
)
"""With a point for the colon only behind a word that times stand behind: "2.80" may be a price, a weight, a version."""
_YEAR = re.compile(r"(?<![\d.,$€£-])\b(?:1[0-9]{3}|20[0-9]{2})s?\b(?![.,]?\d|%)")
_YEAR_BEFORE = re.compile(
    rf"\b(?:in|since|until|till|from|before|after|during|the|its|his|her|their|early|late|{MONTHS})\s$", re.IGNORECASE
)
_COUNTED = re.compile(
    rf" ?(?:(?:{_MEASURES}|people|men|women|children|staff)\b|(?!was\b|is\b|has\b|as\b)[a-z]{{3,}}s\b)"
)
_QUANTITY = re.compile(
    r"(?<![\w.,-])[$€£]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
    rf"|(?:{NUMBER_WORDS})(?:[ -](?:{NUMBER_WORDS}))*)"
    r"(?![\w-]*\d|\.\d)(?: ?(?:%|°C|°F|°))?(?:(?:[ -])(?:hundred|thousand|million|billion))?(?!\w)",
    re.IGNORECASE,
)
_UNIT = re.compile(rf"(?:[ -]{SMALL}[\w'’-]*){{0,3}}")
_QUOTED = re.compile(r"[\"“]([^\"“”]{2,120}?)[.,]?[\"”]")
_CODE = re.compile(r"\b(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)*\b")
_WORD = rf"{CAPITAL}[\w'’]*(?:-{CAPITAL}\w+)*"
_JOIN = rf"(?:of(?: the)?|the|and(?= {CAPITAL})|&|de|van|von|der|la|le|du|di|al)"
SENTENCE_STARTERS = frozenset(
    """
    The A An It Its He His She Her They Their This That These Those In On At By For From With To And Or But As If
    When While Where Because Since So After Before During Until Between There Here Today Now Then Last Next Every
    Each All Both No Not Never Always Only Also One Two Three Four Five Six Seven Eight Nine Ten Some Many Most
    Few Visitors Guests Members What Who Why How Which Once Under Over About Although Though Unlike Despite Fill
    Press Use Turn Clean Put Open Close Keep Water Its Our We You Your My I
    """.split()  # noqa: SIM905
)
_OPENER = (
    "The|An|It|Its|He|His|She|Her|They|Their|This|That|These|Those|In|On|At|By|For|From|With|To|And|Or|But|As|If|When"
    "|While|Where|Because|So|After|Before|During|Until|There|We|You|I|Would|Could|Should|Did|Does|Is|Are|Was|Were|Has|Have"
    "|Had"
)
"""Words that open a sentence and are nobody's surname."""
_INITIAL = rf"(?<=\b{CAPITAL})\.(?! (?:{_OPENER})\b)"  # its point; "Planet X. Would it …" has none
_NAME = re.compile(
    rf"(?:(?:Dr|Mr|Mrs|Ms|Prof|St|Sir|Capt)\. )?{_WORD}"
    rf"(?:(?:{_INITIAL})? (?:{_JOIN} )*(?:{_WORD}|[IVX]+\b|\d{{1,3}}(?:\.\d+)*\b)|{_INITIAL})*"
)
_REASON = re.compile(
    r"\b(?:because(?: of)?|(?<=, )since(?! \d| the \d)|so that|in order to|due to|thanks to"
    r"|to (?:avoid|prevent|keep|protect|honou?r))\b"
    r"[^.;]{8,}?(?=[.;]|$)"
)
_THING_HEAD = re.compile(
    r"(?:(?<=\ba )|(?<=\ban )|(?<=\bthe )|(?<=\bits )|(?<=\bof )|(?<=\bwith )|(?<=\bby )|(?<=\bfrom )|(?<=\binto )"
    r"|(?<=\binside )|(?<=\bis )|(?<=\bare )|(?<=\bin )|(?<=\bon ))"
    rf"(?!(?:an?|the|its|his|her|their|which|that|every|all) )((?:{SMALL}[\w'’-]*)(?: {SMALL}[\w'’-]*){{0,3}})"
)
_NOT_A_THING = re.compile(rf"^ (?:of (?:the )?{CAPITAL}|{CAPITAL}|is\b|was\b|has\b|are\b|were\b|had\b)")
_VERB_AFTER = re.compile(r"^ (?:about|a|an|the|when|at|by|to|for|every|as|\d)\b")
_VERBS = frozenset(
    """
    done held given made led called named known kept grown built sold above below
    """.split()  # noqa: SIM905
)
_PERSON_CUE = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Prof|Sir|Capt)\. ?|\bby |\bbelong(?:s|ed) to |\bcaptain "
    r"|\bmayor |\bsister |\bbrother |\bnephew |\bniece |\bson "
    r"|\bdaughter |\bwife |\bhusband |\bbanker |\bdirector |\bpresident |\bengineer |\bauthor |\bfounder )$",
    re.IGNORECASE,
)
_PERSON_TITLE = re.compile(
    r"^(?:Dr|Mr|Mrs|Ms|Prof|Sir|Capt|Captain|Mayor|Professor|Queen|King|President|Lady|Lord)\.? "
)
_ROLE = re.compile(
    r"\b(?:director|president|chair(?:man|woman)?|leader|head|founder|owner|manager|captain|editor|nephew|niece|keeper"
    r"|mayor|inventor|designer|architect|member)\b[^.,]{0,40}\b(?:is|was|been|be)\s*$"
)


@lru_cache(maxsize=REMEMBERED // 8)
def facts_of(sentence_text: str, known: str = "") -> tuple[Fact, ...]:
    """The facts of a passage's focus, most telling first; `known` is the subject's bare name, never a fact itself."""
    found: list[Fact] = []
    taken: list[tuple[int, int]] = []
    for kind, start, stop, key in _candidates(sentence_text):
        target = sentence_text[start:stop].strip(" ,;:")
        if not target or _same(target, known) or any(start < b and a < stop for a, b in taken):
            continue
        taken.append((start, stop))
        found.append(Fact(kind, target, key or target, sentence_text[:start], sentence_text[stop:]))
    return tuple(found)


def is_money(fact: Fact) -> bool:
    """Whether a quantity is a sum of money."""
    unit = fact.target[len(fact.key) :]
    return fact.key[:1] in {"$", "€", "£"} or re.match(rf"[ -](?:{_CURRENCIES})\b", unit) is not None


def covers(answer: str, fact: Fact) -> bool:
    """Whether an answer gives the fact: its key for what is exact, most of its telling words for the rest."""
    if fact.kind is Kind.SPAN:
        wanted = content_words(fact.key)
        return bool(wanted) and len(wanted & content_words(answer)) >= math.ceil(_MOST_WORDS * len(wanted))
    if fact.kind in {Kind.REASON, Kind.THING, Kind.QUOTE}:
        wanted = content_words(fact.key)
        return bool(wanted) and len(wanted & content_words(answer)) >= max(1, round(_MOST_WORDS * len(wanted)))
    if fact.kind in _NAMES:
        wanted = content_words(fact.key)
        return bool(wanted) and len(wanted & content_words(answer)) * 2 >= len(wanted)
    return re.search(rf"(?<![\w.,]){re.escape(fact.key.lower())}(?!\w|[.,]\d)", answer.lower()) is not None


def gives(answer: str, fact: Fact, question: str) -> bool:
    """Whether an answer covers the fact and has a telling word of it that the question does not say.

    "… stands on a hill." has half of "Gull Hill", but only what "On which hill does … stand?" says. Where the question
    says all of the fact, as one does that tells of it what it asks for, covering it is enough.
    """
    if not covers(answer, fact):
        return False
    rest = _unsaid(fact.key, question) if fact.kind in _IN_WORDS else frozenset()
    return not rest or bool(rest & content_words(answer))


def knows(answer: str, fact: Fact, question: str) -> bool:
    """Whether an answer gives all that the question leaves open of a fact: who answers so knows it.

    Of a name all words that the question does not say, of a reason or a thing most of them.
    """
    if fact.kind not in _IN_WORDS:
        return covers(answer, fact)
    rest = _unsaid(fact.key, question)
    share = 1.0 if fact.kind in _NAMES else _MOST_WORDS
    return bool(rest) and len(rest & content_words(answer)) >= math.ceil(share * len(rest))


def _unsaid(text: str, question: str) -> frozenset[str]:
    """The telling words of a text that a question does not have, in any form."""
    said = stems_of(question)
    return frozenset(word for word in content_words(text) if not stems_of(word) & said)


def _candidates(text: str) -> Iterator[tuple[Kind, int, int, str]]:
    for match in _QUOTED.finditer(text):
        yield Kind.QUOTE, match.start(1), match.end(1), ""
    for kind, pattern in ((Kind.DATE, _DATE), (Kind.TIME, _TIME), (Kind.DAY, _DAY), (Kind.YEAR, _YEAR)):
        for match in pattern.finditer(text):
            if kind is not Kind.YEAR or not _is_count(text, match):
                yield kind, match.start(), match.end(), ""
    for match in _CODE.finditer(text):
        yield Kind.NAME, match.start(), match.end(), ""
    yield from _names(text)
    for match in _QUANTITY.finditer(text):
        unit = _UNIT.match(text[match.end() :])
        words = unit.group().split(" ")[1:] if unit and not unit.group().startswith("-") else []
        noun: list[str] = []
        for word in words:
            if is_empty(word):
                break
            noun.append(word)
        stop = match.end() + sum(len(word) + 1 for word in noun)
        if re.search(r"\b(?:under|over|below|above|aged?)\s$", text[: match.start()]) and noun[:1] != ["percent"]:
            stop = match.end()  # "children under twelve enter free"
        yield Kind.QUANTITY, match.start(), stop, match.group()
    for match in _REASON.finditer(text):
        yield Kind.REASON, match.start(), match.end(), ""
    yield from _things(text)


def _names(text: str) -> Iterator[tuple[Kind, int, int, str]]:
    for match in _NAME.finditer(text):
        start, name = match.start(), match.group()
        first, _, rest = name.partition(" ")
        opens = start == 0 or text[:start].rstrip().endswith((".", "!", "?", ":", '"', "“"))
        if opens and first in SENTENCE_STARTERS:
            rest = rest.removeprefix("of ").removeprefix("the ")
            if not rest or not rest[0].isupper():
                continue
            start, name = match.end() - len(rest), rest
        elif opens and " " not in name:
            continue  # any first word has a capital
        elif first == "The" and rest:
            start, name = match.end() - len(rest), rest
        if is_oneself(name):
            continue
        stop = start + len(re.sub(r"['’]s?$", "", name))
        yield (Kind.PERSON if _is_person(name, text[:start], text[stop:]) else Kind.NAME), start, stop, ""


def _is_count(text: str, year: re.Match[str]) -> bool:
    """Whether what may be a year counts what stands behind it: "1200 seats", but "the 1974 elections"."""
    counted = _COUNTED.match(text[year.end() :])
    return counted is not None and not _YEAR_BEFORE.search(text[: year.start()])


def is_oneself(name: str) -> bool:
    """Whether what looks like a name is its author: "I", "I'm"."""
    return re.fullmatch(r"I(?:['’]\w+)?", name) is not None


def _is_person(name: str, before: str, after: str) -> bool:
    if _PERSON_TITLE.match(name) or _PERSON_CUE.search(before) or _ROLE.search(before):
        return True
    return bool(re.match(r",? (?:who|whose|a (?:retired|former))\b|['’]s (?:nephew|niece|son|daughter)", after))


def _things(text: str) -> Iterator[tuple[Kind, int, int, str]]:
    for match in _THING_HEAD.finditer(text):
        words: list[str] = []
        for word in match.group(1).split(" "):
            if is_empty(word) or word.endswith("ly"):
                break
            words.append(word)
        while len(words) > 1:
            after = text[match.start(1) + len(" ".join(words)) :]
            if not (
                words[-1].endswith("ed")
                or words[-1] in _VERBS
                or (words[-1].endswith("s") and _VERB_AFTER.match(after))
            ):
                break
            words.pop()
        phrase = " ".join(words)
        after = text[match.start(1) + len(phrase) :]
        bare = re.search(r"\b(?:of|with|from|by|is|was|are|were) $", text[: match.start(1)]) is not None
        if (
            len(phrase) > 3
            and (" " in phrase or bare)  # "made of cork", but not "beside the oven"
            and phrase.split(" ", maxsplit=1)[0] not in {"best", "most", "well"}
            and phrase not in _VERBS
            and not _NOT_A_THING.match(after)
            and not re.fullmatch(r"\w+(?:ed|ing)", phrase)
        ):
            yield Kind.THING, match.start(1), match.start(1) + len(phrase), ""


def _same(target: str, known: str) -> bool:
    return bool(known) and (target.lower() in known.lower() or known.lower() == target.lower().removeprefix("the "))
