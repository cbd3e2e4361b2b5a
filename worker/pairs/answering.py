"""The teacher's answers, checked: one that is cut off, refuses, misses the fact or adds to the passage is dropped.

The teacher answers in the very chat that distil later takes its distributions from, so that the student is trained on
the beginnings that the teacher itself would choose. The answer is an input of the distillation, not its target.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from worker.pairs import filters
from worker.pairs.facts import Fact, Kind, facts_of, gives
from worker.pairs.grounding import Tie, is_no_answer, may_ask, tie
from worker.pairs.kinds import OF_SEVERAL
from worker.pairs.leads import leads
from worker.pairs.passages import Passage
from worker.pairs.sentences import narrowed, own_sentences, sentence_with
from worker.pairs.spans import span_of
from worker.pairs.subjects import Subject
from worker.pairs.together import together
from worker.pairs.words import content_words, is_empty, stems_of
from worker.pairs.writer import Completion, Sampling, Writer
from worker.pairs.writing import BY_RULE, OPEN, TURNED, Question, resolved_sentence, sentence_of

LONGEST_ANSWER = 64
"""Tokens, for a model that is led; a strong one may take LONGEST_FREE_ANSWER."""
LONGEST_FREE_ANSWER = 256
SEVERAL = 2
"""Facts, at least, in the answer to a question that asks for several."""
ENOUGH_REACHED = 5
"""Answered questions of a fact, those by rule among them, from which on its sentence is not quoted for more."""
ADDS = "answer adds to the passage"
REPEATED = "answer repeated"
ECHOES = "answer only repeats the question"
UNSURE = "teacher unsure"
MISPLACED = "answer from another sentence"
MISCOUNTED = "answer counts something else"
OTHER_SORT = "answer of another sort"
LEAST_SURE, LEAST_SURE_SAMPLED = -0.6, -0.9
"""Mean log-probability of a greedy and of a sampled answer, in nats a token, below which the teacher guesses although
it has read the passage. Of 97 and 52 answers of a model of 135M about one document, the other checks pass five below,
all wrong ("The island of Brindle is called Thursday."); the least sure right ones have -0.51 and -0.88."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and an answer that passed the checks.

    Attributes:
        sampled: false for the greedy answer.
        quoted: the answer is the passage's own sentence, not the teacher's words.
        teacher: how sure the teacher was of its words, in nats a token (mean log-probability); None where quoted.
        known: the base model gives this answer without the passage.
        closed_book: how sure it was of what it said without the passage, right or wrong, in nats a token; None where
            it was not asked.
    """

    question: Question
    answer: str
    sampled: bool
    held_out: bool = False
    quoted: bool = False
    teacher: float | None = None
    known: bool = False
    closed_book: float | None = None


@dataclass(slots=True)
class Answered:
    """Pairs, and what was dropped, by reason: answers, and questions that were asked for again."""

    pairs: list[Pair] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    dropped_questions: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Answering:
    """How to answer: greedily once, and `samples` times at `temperature`, in at most `longest` tokens.

    With `grounded`, a question must be about the sentence that its answer stands in: a teacher that is too small to
    leave open what its passage leaves open answers "Who won the prize?" with the one person named. With `spans`, an
    open question that asks for one thing may also be answered in words of the passage that no rule for facts knows.
    """

    samples: int
    temperature: float
    longest: int
    grounded: bool = False
    spans: bool = False


async def answer(
    writer: Writer,
    questions: Sequence[Question],
    passages: Mapping[str, Passage],
    subjects: Mapping[str, Subject],
    messages: Callable[[str, str], list[dict[str, str]]],
    answering: Answering,
    progress: Callable[[int, int], None],
) -> Answered:
    """Checked pairs for all questions.

    Args:
        writer: the model.
        questions: what is asked.
        passages: by id.
        subjects: by document id.
        messages: puts a passage, by its id, and a question to the teacher.
        answering: how.
        progress: told the questions done.
    """
    done = 0

    async def one(question: Question) -> Answered:
        nonlocal done
        passage = passages[question.passage_id]
        subject = subjects[passage.document_id]
        if question.kind in BY_RULE:
            found = Answered([_quoted(question, passage, subject)])
        else:
            found = await _answer_one(writer, question, passage, subject, messages, answering)
            if question.kind == TURNED and not found.pairs:
                found.pairs.append(_quoted(question, passage, subject))
        done += 1
        progress(done, len(questions))
        return found

    whole = Answered()
    for found in await together(one(question) for question in questions):
        whole.pairs += found.pairs
        whole.dropped += found.dropped
    _quote_where_missed(whole, questions, passages, subjects)
    return whole


async def _answer_one(
    writer: Writer,
    question: Question,
    passage: Passage,
    subject: Subject,
    messages: Callable[[str, str], list[dict[str, str]]],
    answering: Answering,
) -> Answered:
    """The greedy answer, and sampled ones only to a question whose greedy answer is right.

    The greedy answer settles which fact is asked for.
    """
    found = Answered()
    seen: set[str] = set()
    opened = settled = question
    spans = answering.spans and question.fact is None
    for sampled in (False, True):
        sampling = Sampling(1, 0.0, 1.0, answering.longest, scored=True)
        if sampled:
            sampling = replace(sampling, n=answering.samples, temperature=answering.temperature, top_p=0.95)
        if sampling.n == 0:
            break
        completions = await writer.chat(messages(passage.id, question.text), sampling, group=passage.id)
        for completion in completions:
            text = completion.text.strip()
            if sampled:
                reason = fault(completion, text, opened, passage, LEAST_SURE_SAMPLED, spans)
                if reason is None and not _gives_the_same(text, settled, opened, passage):
                    reason = filters.UNANSWERABLE
                if reason is None and answering.grounded:
                    reason = _misses(settled, text, passage, subject)
            else:
                opened = _opened(question, text) if answering.grounded else question
                settled, reason = settle(completion, question, passage, subject, answering)
            if reason is None and text.lower() in seen:
                reason = REPEATED
            if reason:
                found.dropped[reason] += 1
            else:
                seen.add(text.lower())
                found.pairs.append(Pair(settled, text, sampled, teacher=completion.logprob))
        if not found.pairs:
            break
    return found


def settle(
    completion: Completion, question: Question, passage: Passage, subject: Subject, answering: Answering
) -> tuple[Question, str | None]:
    """The question with the fact that its greedy answer gives, if it was open; and why the answer is dropped, or None.

    Args:
        completion: the greedy answer.
        question: as it was asked.
        passage: that it is about.
        subject: of the passage's document.
        answering: how answers are taken.
    """
    text = completion.text.strip()
    spans = answering.spans and question.fact is None  # what was led to a fact and misses it asks for nothing else
    if answering.grounded:
        question = _opened(question, text)
    reason = fault(completion, text, question, passage, LEAST_SURE, spans)
    if reason is None and question.fact is None and question.kind not in OF_SEVERAL:
        question = _with_fact(question, text, passage, subject, spans)
    if reason is None and answering.grounded:
        reason = _misses(question, text, passage, subject)
    return question, reason


def _opened(question: Question, answer: str) -> Question:
    """A question that a model was led to, without its fact where the answer gives another: it asks for that then."""
    if question.fact is None or question.kind == TURNED or gives(answer, question.fact, question.text):
        return question
    return replace(question, kind=OPEN, fact=None, sentence=None)


def _misses(question: Question, answer: str, passage: Passage, subject: Subject) -> str | None:
    """Why an answer is none to what the question asks for, or None: told by the words of both."""
    fact = question.fact
    if fact is None or question.kind in OF_SEVERAL:
        return None
    if not gives(answer, fact, question.text):
        return filters.UNANSWERABLE
    if any(counts_other(answer, each, passage.text) for each in facts_of(passage.focus)):
        return MISCOUNTED
    if is_no_answer(question.text, answer, fact):
        return OTHER_SORT
    if question.kind != TURNED and not may_ask(question.text, _about(question, passage), passage, subject):
        return MISPLACED
    return None


def _about(question: Question, passage: Passage) -> str:
    """The sentence that a question with a fact is to be about."""
    return sentence_of(question, passage) or passage.focus


def counts_other(answer: str, fact: Fact, known: str) -> bool:
    """Whether an answer gives a fact's number to what `known` does not: "112 guests" for "112 steps".

    Words in between ("47 fresh loaves") and short units ("900 g") are let pass.
    """
    units = fact.target[len(fact.key) :].lower().replace("-", " ").split()
    if fact.kind is not Kind.QUANTITY or not units:
        return False
    number = rf"(?<![\w.,:]){re.escape(fact.key.lower())}"
    for match in re.finditer(rf"{number}[ -]((?:[^\W\d]\w*[ -]?){{1,3}})", answer.lower()):
        words = match[1].replace("-", " ").split()
        if not (
            is_empty(words[0])
            or words[0][0] in {unit[0] for unit in units}
            or stems_of(" ".join(words)) & stems_of(" ".join(units))
            or re.search(rf"{number}[ -]{re.escape(words[0])}(?!\w)", known.lower())
        ):
            return True
    return False


def fault(
    completion: Completion,
    text: str,
    question: Question,
    passage: Passage,
    least_sure: float = LEAST_SURE,
    spans: bool = False,
) -> str | None:
    """Why an answer is dropped, or None; `least_sure` is a mean log-probability in nats a token."""
    if completion.finish_reason == "length":
        return filters.CUT_OFF
    if filters.refuses(text, passage.text):
        return filters.REFUSAL
    if not text or (question.fact is not None and not gives(text, question.fact, question.text)):
        return filters.UNANSWERABLE
    if question.fact is None and filters.echoes(text, question.text):
        return ECHOES
    if filters.invents(text, f"{passage.title} {passage.heading or ''} {passage.text} {question.text}"):
        return ADDS
    told = _told(text, question, passage, spans) if question.fact is None else [question.fact]
    if len(told) < (SEVERAL if question.kind in OF_SEVERAL else 1):
        return filters.UNANSWERABLE
    if completion.logprob is not None and completion.logprob < least_sure:
        return UNSURE
    return None


def _told(text: str, question: Question, passage: Passage, spans: bool) -> list[Fact]:
    """The facts of a passage that an answer gives and its question does not; or, with `spans`, a span of its words."""
    facts = facts_of(passage.focus)
    leaked = [fact for fact in facts if filters.leaks(question.text, fact)]
    told = [fact for fact in facts if gives(text, fact, question.text) and fact not in leaked]
    if told or not spans:
        return told
    span = span_of(text, question.text, own_sentences(passage), leaked)
    return [span] if span and not is_no_answer(question.text, text, span) else []


def _gives_the_same(text: str, settled: Question, opened: Question, passage: Passage) -> bool:
    """Whether a sampled answer gives the fact that the greedy one settled, or a span that shares a word with it."""
    fact = settled.fact
    if fact is None or settled.kind in OF_SEVERAL:
        return True
    if fact.kind is not Kind.SPAN:
        return gives(text, fact, settled.text)
    return any(content_words(each.target) & content_words(fact.target) for each in _told(text, opened, passage, True))


def _with_fact(question: Question, answer: str, passage: Passage, subject: Subject, spans: bool) -> Question:
    """An open question with the fact that its greedy answer gives, so that it can be told what teaches the same.

    Of several it is one whose sentence the question's words fit, and that such a question would be led to.
    """
    asked = question.text.lower()
    sentences = own_sentences(passage)

    def fitness(fact: Fact) -> tuple[bool, int, int]:
        begins = max((len(lead) for lead in leads(fact, subject) if asked.startswith(lead.lower())), default=0)
        ties = list(Tie).index(tie(question.text, sentence_with(fact, sentences), passage, subject))
        return not is_no_answer(question.text, answer, fact), -ties, begins

    return replace(question, fact=max(_told(answer, question, passage, spans), key=fitness))


def _quote_where_missed(
    whole: Answered, questions: Sequence[Question], passages: Mapping[str, Passage], subjects: Mapping[str, Subject]
) -> None:
    """Let a fact's own sentence answer some questions that the teacher got wrong by itself.

    A small model asks "Why did the museum close?" well and then answers beside it. Only questions in the passage's own
    words are taken, those of a fact that was not reached at all first of all: they ask for nothing that is not there.
    """
    reached = Counter((pair.question.passage_id, pair.question.fact) for pair in whole.pairs if not pair.sampled)
    answered = {(pair.question.passage_id, pair.question.text) for pair in whole.pairs}
    for question in questions:
        key = (question.passage_id, question.fact)
        if question.fact is None or (question.passage_id, question.text) in answered or reached[key] >= ENOUGH_REACHED:
            continue
        passage = passages[question.passage_id]
        subject = subjects[passage.document_id]
        fits = tie(question.text, _about(question, passage), passage, subject) is Tie.BEST
        if fits and not filters.foreign_stems(question.text, f"{passage.text} {subject.bare}"):
            whole.pairs.append(_quoted(question, passage, subject))
            reached[key] += 1


def _quoted(question: Question, passage: Passage, subject: Subject) -> Pair:
    """A question answered with the sentence that it was written about, or that its fact stands in."""
    sentence = sentence_of(question, passage)
    passage = passage if sentence is None else narrowed(passage, sentence)
    return Pair(question, resolved_sentence(passage, subject), sampled=False, quoted=True)
