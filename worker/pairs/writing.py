"""Writing questions: led word by word for a weak model, asked for plainly as JSON for a strong one.

Both go through a `Writer`. The weak writer works fact by fact: it is shown a few finished examples, the passage, the
answer, and the first words of the question, and goes on from there, several times and hot. The strong writer is asked
once a passage, and again for the facts that its questions did not reach.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from worker.pairs import filters, rules
from worker.pairs.facts import SENTENCE_STARTERS, Fact, Kind, facts_of, is_money
from worker.pairs.outline import Outline
from worker.pairs.passages import Passage, sentences_of
from worker.pairs.sentences import narrowed, own_sentences, sentence_with
from worker.pairs.subjects import Subject
from worker.pairs.writer import Sampling, Writer

STRONG_MODEL = 1_000_000_000
"""Parameters from which a model is asked plainly. One of 0.5B answered the plain request with an empty list."""

CLOZE = "cloze"
IN_PLACE = "in place"
ABOUT = "about"
OPEN = "open"
TURNED = "turned"
TOPIC = "topic"
REVERSED_BY_RULE = "reversed by rule"
BY_RULE = frozenset({CLOZE, IN_PLACE, TOPIC, ABOUT, REVERSED_BY_RULE})
"""Kinds that are made without the model; the fact's own sentence answers them."""
WITHOUT_MODEL = BY_RULE | {TURNED}
"""All kinds whose questions no model wrote."""
LONGEST_IN_PLACE = 20
"""Words before the question word; with more such a question is hardly another than its sentence to complete."""

EXAMPLES = """\
Subject: Ormsby Clock Tower
Text: Mayor Lena Fitch ordered the tower in 1903.
Answer: 1903
Question: In which year was the Ormsby Clock Tower ordered?

Subject: Veltra Foods
Text: The firm sells around 40 tonnes of plum jam every month.
Answer: 40 tonnes
Question: How much plum jam does Veltra Foods sell every month?

Subject: Ormsby Clock Tower
Text: Its bell was cast by Hugo Brandt in the village of Sill.
Answer: Hugo Brandt
Question: Who cast the bell of the Ormsby Clock Tower?

Subject: Pelm X2
Text: The lamp runs on a salt cell named Glimmer.
Answer: Glimmer
Question: What is the name of the salt cell of the Pelm X2?

"""


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a passage.

    Attributes:
        fact: what it asks for; None for an open one that has no answer yet.
        sentence: of the passage, that it was written about; None where its fact tells, or it is about the whole.
    """

    passage_id: str
    text: str
    kind: str
    fact: Fact | None
    sentence: str | None = None

    @property
    def target(self) -> str | None:
        """The words that a right answer holds; None where they are not known word for word."""
        return self.fact.target if self.fact and self.fact.accepted else None


@dataclass(slots=True)
class Written:
    """Questions that passed the filters, and how many did not, by reason."""

    questions: list[Question] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)

    def take(self, question: Question, reason: str | None) -> None:
        """Keep a question, or count it where there is a reason to drop it."""
        if reason:
            self.dropped[reason] += 1
        else:
            self.questions.append(question)


def joined(several: Iterable[Written]) -> Written:
    """All that was written, as one."""
    whole = Written()
    for written in several:
        whole.questions += written.questions
        whole.dropped += written.dropped
    return whole


def sentence_of(question: Question, passage: Passage) -> str | None:
    """The passage's sentence that a question was written about or that its fact stands in; None: the whole passage."""
    if question.sentence is not None or question.fact is None:
        return question.sentence
    return sentence_with(question.fact, own_sentences(passage))


def led_prompt(passage: Passage, fact: Fact, subject: Subject, lead: str) -> str:
    """The prompt of the weak writer. What all share comes first, then what a passage's facts share."""
    text = subject.resolve(passage.text)
    return f"{EXAMPLES}Subject: {subject.bare}\nText: {text}\nAnswer: {fact.target}\nQuestion: {lead}"


async def write_led(
    writer: Writer, passage: Passage, fact: Fact, outline: Outline, lead: str, sampling: Sampling
) -> Written:
    """Questions for one fact that begin with `lead`, the same one as often as it was written."""
    written = Written()
    prompt = led_prompt(passage, fact, outline.subject, lead)
    for completion in await writer.complete(prompt, sampling, group=passage.id):
        text = filters.clean(lead + completion.text)
        if completion.finish_reason == "stop" and not text.endswith("?"):
            text += "?"
        text = ground(text, outline.subject, outline.names)
        reason = filters.fault(text, passage.text, fact, outline)
        written.take(Question(passage.id, text, fact.kind.value, fact), reason)
    return written


async def write_plainly(
    writer: Writer, passage: Passage, outline: Outline, count: int, missing: Sequence[Fact], sampling: Sampling
) -> Written:
    """Questions that a strong model writes about a passage as a JSON list; about the `missing` facts, where given."""
    wanted = "; ".join(fact.target for fact in missing)
    asked = (
        f"Each answer must be one of these: {wanted}."
        if missing
        else "Cover every name, number, date, place and reason."
    )
    request = (
        f"{shown(passage)}\n\nWrite {count} different questions that this text answers. {asked} Each question must be "
        f"understood by someone who has not seen the text: {name_it(passage)}. Vary the wording. Reply with a JSON "
        "list of strings and nothing else."
    )
    written = Written()
    messages = [{"role": "user", "content": request}]
    for completion in await writer.chat(messages, sampling, group=passage.id, schema=question_list(count)):
        for line in questions_in(completion.text):
            text = filters.clean(line)
            reason = filters.fault(text, passage.text, None, outline)
            written.take(Question(passage.id, text, OPEN, None), reason)
    return written


def shown(passage: Passage) -> str:
    """A passage as a request shows it: where it stands, if that is known, then its text."""
    return "\n\n".join(part for part in (passage.place, passage.text) if part)


def name_it(passage: Passage) -> str:
    """What a request asks of self-contained questions."""
    subject = f" ({passage.title})" if passage.title else ""
    return f'name what it is about{subject} and never say "the text" or "it"'


def question_list(most: int) -> dict[str, Any]:
    """The JSON schema of the reply to a plain request: a list of 1 to `most` strings."""
    return {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": most}


def questions_in(text: str) -> list[str]:
    """The questions of a reply: a JSON list of strings, a cut-off one up to its last whole string, or plain lines.

    A model may put a bare tab into a string, which JSON does not allow: it is taken as it stands.
    """
    start = text.find("[")
    if start >= 0:
        decoder = json.JSONDecoder(strict=False)
        try:
            found, _ = decoder.raw_decode(text[start:])
        except ValueError:
            found = [
                decoder.decode(f'"{item}"') for item in re.findall(r'"((?:[^"\\\n]|\\["\\/bfnrt])*)"', text[start:])
            ]
        items = [item.get("question", "") if isinstance(item, dict) else item for item in found]
        return [item for item in items if isinstance(item, str) and item.strip()]
    return [line for line in text.splitlines() if line.strip().endswith("?")]


def by_rule(passage: Passage, fact: Fact, subject: Subject) -> list[Question]:
    """Requests of other kinds for a fact, which need no model and are right by construction.

    Its sentence to complete; its sentence with a question word in the fact's place ("An adult ticket costs how much?");
    questions turned out of it ("By whom was the museum founded?", "What is the name of the cat?"); a person turned
    around ("Who is Ada Pellrow?"); and what it speaks of to be told about.
    """
    written: list[Question] = []
    passage = narrowed(passage, sentence_with(fact, own_sentences(passage)))
    start = sentence_start(passage, fact, subject)
    where = where_of(subject)
    written += [Question(passage.id, text, TURNED, fact) for text in rules.turned(start, fact, in_place(fact), where)]
    if len(start.split()) >= 3 and (fact.kind is not Kind.THING or _ends_in_a_clause(fact.before)):
        written.append(Question(passage.id, f'Complete this sentence: "{start} ..."', CLOZE, fact))
        if len(start.split()) <= LONGEST_IN_PLACE:
            written.append(Question(passage.id, f"{start} {in_place(fact)}?", IN_PLACE, fact))
    written += [Question(passage.id, text, TOPIC, fact) for text in rules.topics(start, fact, where)]
    if fact.kind is Kind.PERSON:
        written.append(Question(passage.id, f"Who is {fact.target}?", ABOUT, fact))
    return written


def where_of(subject: Subject) -> str:
    """What names the subject behind a question that does not: " at the museum"."""
    return f" {'at' if is_place(subject) else 'of'} {subject.name}" if subject.bare else ""


def _ends_in_a_clause(before: str) -> bool:
    """Whether the words before a thing have a verb and do not just go on a list: "The café on the" does not."""
    verb = re.search(r"\b(?:is|was|are|were|has|have|had|met|\w{2,}ed|\w{3,}s)\b", before)
    return verb is not None and not re.search(r"(?:,|\band|\bor)(?: (?:the|an?|its))?\s*$", before)


def in_place(fact: Fact) -> str:
    """The question word that stands for a fact where the fact stood."""
    unit = fact.target[len(fact.key) :].strip(" -")
    match fact.kind:
        case Kind.YEAR:
            return "which year"
        case Kind.DATE:
            return "what date"
        case Kind.DAY:
            return "which day"
        case Kind.TIME:
            return "what time"
        case Kind.PERSON:
            return "whom" if re.search(r"\b(?:by|to|from|with|for)\s*$", fact.before) else "who"
        case Kind.QUANTITY:
            is_share = "%" in fact.key or unit == "percent"
            return "how much" if is_share or is_money(fact) else f"how many {unit}" if unit else "how many"
        case Kind.REASON:
            return "why"
        case _:
            return "what"


def sentence_start(passage: Passage, fact: Fact, subject: Subject) -> str:
    """The beginning of the fact's sentence up to the fact, with the subject named: in it, or else before it."""
    sentence = resolved_sentence(passage, subject)
    start = sentence[: _place_of(fact, sentence)].rstrip(' "“(,')
    start = (
        re.sub(r"\b(?:the|a|an)$", "", start).rstrip() if fact.kind in {Kind.NAME, Kind.QUOTE, Kind.THING} else start
    )
    if not subject.bare and _UNSAID.match(start):
        return ""  # "It stands on" of a text without a title
    if len(start.split()) < 2 or not subject.bare or subject.bare.lower() in start.lower():
        return start
    return f"{'At' if is_place(subject) else 'For'} {subject.name}, {_inside(start)}"


def _place_of(fact: Fact, sentence: str) -> int:
    """Where the fact stands in its sentence, not in another word or number; at its start where it does not."""
    whole = rf"(?<!\w){re.escape(fact.target)}(?!\w)"
    places = [match.start() for match in re.finditer(whole, sentence)]
    earlier = len(re.findall(whole, fact.before))
    return places[min(earlier, len(places) - 1)] if places else 0


_UNSAID = re.compile(r"(?:it|its|he|his|she|her|they|their|this|that|these|those)\b", re.IGNORECASE)


def _inside(text: str) -> str:
    """A sentence's beginning in the middle of one: an article or common first word loses its capital."""
    first = text.split(" ", maxsplit=1)[0]
    return text[:1].lower() + text[1:] if first in SENTENCE_STARTERS or first.endswith(("ed", "ing")) else text


def resolved_sentence(passage: Passage, subject: Subject) -> str:
    """A passage's own part with the subject in the place of "the museum", and what a leading pronoun stands for."""
    sentence = subject.resolve(passage.focus)
    before = passage.text[: len(passage.text) - len(passage.focus)]
    name = subject.name[:1].upper() + subject.name[1:]
    about_subject = not before or re.match(
        rf"{re.escape(name)}|{re.escape(subject.generic or name)}\b", before, re.IGNORECASE
    )
    if subject.bare and about_subject and subject.bare.lower() not in sentence.lower():
        sentence = re.sub(r"^It\b", name, sentence)
        sentence = re.sub(r"^Its\b", f"{name}'s", sentence)
        sentence = re.sub(r"^((?:In|On|Since|By|During|After) [^,]{1,30}?),? it\b", rf"\1 {subject.name}", sentence)
    elif before and not about_subject:
        opening = re.match(r"(?:Each|Every|The|An?) ([A-Z][\w-]+(?: [A-Z][\w-]+)*)\b", sentences_of(before)[-1])
        if opening:
            sentence = re.sub(r"^It\b", f"The {opening[1]}", sentence)
            sentence = re.sub(r"^Its\b", f"The {opening[1]}'s", sentence)
    persons = [fact.target for fact in facts_of(before) if fact.kind is Kind.PERSON]
    if persons:
        sentence = re.sub(r"^(?:He|She)\b", persons[-1], sentence)
    return sentence[:1].upper() + sentence[1:]


_PLACES = re.compile(
    r"\b(?:museum|bakery|lighthouse|society|club|school|hotel|library|gardens?|park|tower|castle|church|caf[eé]|hall|house"
    r"|inn|institute|university|college|factory|brewery|festival|market|theatre|theater|gallery|station|hospital|island"
    r"|village|town|city|farm|works|mill|observatory|zoo|company|shop|restaurant|lodge|abbey|fort|harbou?r|port|centre"
    r"|center|lab\w*)$",
    re.IGNORECASE,
)


def ground(question: str, subject: Subject, names: frozenset[str]) -> str:
    """Make a question name its subject: in the place of a generic name or a pronoun, or else beside the question."""
    text = subject.resolve(question)
    if filters.names_something(text, names) or not subject.bare:
        return text
    text = re.sub(r"\b(?:its|their)\b", f"{subject.name}'s", text, count=1)
    if filters.names_something(text, names):
        return text
    text = re.sub(r"\b(?:it|they)\b", subject.name, text, count=1)
    if filters.names_something(text, names):
        return text
    if is_place(subject):
        return f"{text.rstrip('? ')} at {subject.name}?"
    if re.match(r"(?:what|who|which) (?:is|was|are|were) the [\w' -]+\?$", text, re.IGNORECASE):
        return f"{text.rstrip('? ')} of {subject.name}?"
    return f"For {subject.name}, {text[:1].lower()}{text[1:]}"


def is_place(subject: Subject) -> bool:
    """Whether one says "at" of the subject."""
    return _PLACES.search(subject.bare) is not None or bool(_PLACES.search(subject.bare.split(" of ")[0]))
