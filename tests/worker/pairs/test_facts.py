import pytest

from worker.pairs.facts import Fact, Kind, covers, facts_of, gives, knows


def found(text: str, known: str = "") -> dict[str, str]:
    return {fact.target: fact.kind.value for fact in facts_of(text, known)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It opened in 1962 inside a former rope factory.", {"1962": "year", "former rope factory": "thing"}),
        ("The mill was founded by Ada Pellrow.", {"Ada Pellrow": "person"}),
        ("The best member was Dr. Emeka Sund.", {"Dr. Emeka Sund": "person"}),
        ("It stands on the river Sarne in the town of Greyford Cross.", {"Sarne": "name", "Greyford Cross": "name"}),
        ("The mill holds 2,300 model boats.", {"2,300 model boats": "quantity"}),
        ("The kettle holds 1.4 litres.", {"1.4 litres": "quantity"}),
        ("The warranty lasts five years.", {"five years": "quantity"}),
        ("The walk is held on 9 October.", {"9 October": "date"}),
        ("The mill opens on Monday at 10:30.", {"Monday": "day", "10:30": "time"}),
        ('Its motto is "Sow while they sleep".', {"Sow while they sleep": "quote"}),
        ("It shut because the water had ruined it.", {"because the water had ruined it": "reason"}),
        ("The part number is TK-310.", {"TK-310": "name"}),
        ("A pie is known as the Bargeman.", {"Bargeman": "name"}),
        ("It was drawn for John F. Kettle in a week.", {"John F. Kettle": "name"}),
        ("It was written by Robert C. May in a week.", {"Robert C. May": "person"}),
        ("Will Turner founded it.", {"Will Turner": "name"}),
        ("A ticket costs $12.50, tea 2.80 euros.", {"$12.50": "quantity", "2.80 euros": "quantity"}),
        ("It weighs 1.25 kg and loses 3.75 %.", {"1.25 kg": "quantity", "3.75 %": "quantity"}),
        ("Open from 9.30 to 17.00, closed at 8 pm.", {"9.30": "time", "17.00": "time", "8 pm.": "time"}),
        ("The hall has 1200 seats for 1500 people.", {"1200 seats": "quantity", "1500 people": "quantity"}),
        ("In 1974 visitors saw the 1999 elections.", {"1974": "year", "1999": "year"}),
        ("It is about Version 2.10 of it.", {"Version 2.10": "name"}),
    ],
)
def test_facts_are_found_with_their_kind(text: str, expected: dict[str, str]) -> None:
    facts = found(text)
    assert expected.items() <= facts.items(), facts


def test_an_address_of_numbers_is_no_number() -> None:
    assert found("The server is 10.0.0.15.") == {}


def test_the_subject_and_first_words_are_no_facts() -> None:
    assert found("The Hollin Museum grew. Today visitors smile.", "Hollin Museum") == {}


def test_a_fact_knows_what_stands_around_it() -> None:
    (fact,) = facts_of("The mill holds 460 boats today.")
    assert (fact.before, fact.key, fact.after) == ("The mill holds ", "460", " today.")


def test_facts_never_overlap() -> None:
    text = "On 9 October 1974 Dr. Ada Sund gave 25 crowns to Calder House, a red brick villa."
    spans = [(len(fact.before), len(fact.before) + len(fact.target)) for fact in facts_of(text)]
    assert len(spans) >= 4
    assert all(a[1] <= b[0] or b[1] <= a[0] for i, a in enumerate(spans) for b in spans[:i])


@pytest.mark.parametrize(
    ("kind", "key", "answer", "right"),
    [
        (Kind.QUANTITY, "460", "It has 460 boats.", True),
        (Kind.QUANTITY, "460", "It has 1460 boats.", False),
        (Kind.QUANTITY, "8", "It costs 8.50 marks.", False),
        (Kind.QUANTITY, "8", "It costs 8.", True),
        (Kind.YEAR, "1962", "In 1926.", False),
        (Kind.PERSON, "Ada Pellrow", "Pellrow did.", True),
        (Kind.PERSON, "Ada Pellrow", "Marta did.", False),
        (Kind.REASON, "because the water had ruined its floors", "Water ruined the wooden floors.", True),
        (Kind.REASON, "because the water had ruined its floors", "It was closed.", False),
        (Kind.THING, "sea salt", "It is of salt.", True),
        (Kind.SPAN, "sea salt", "It is of salt.", False),
        (Kind.SPAN, "sea salt of Tarn", "It is sea salt.", True),
    ],
)
def test_whether_an_answer_gives_the_fact(kind: Kind, key: str, answer: str, right: bool) -> None:
    assert covers(answer, Fact(kind, key, key, "", "")) is right


def test_names_of_any_alphabet_are_facts_and_their_small_words_are_none() -> None:
    found = facts_of("The harbour was painted by Лев Толстой beside an old łódka in 1894.")
    assert {fact.target for fact in found if fact.kind in {Kind.NAME, Kind.PERSON}} == {"Лев Толстой"}


def test_whoever_writes_is_no_name_and_a_name_ends_with_its_sentence() -> None:
    text = "When the mirror broke I ordered one, since I'm told that Ada Pell likes Megaman X. Would she?"
    assert found(text) == {"Ada Pell": "name", "Megaman X": "name"}
    assert found("It is Megaman X. I like it. Then I saw it. But I'm late.") == {"Megaman X": "name"}


HILL = ("name", "Gull Hill", "On which hill does the mill stand?")
PERSON = ("person", "Ada Pell", "Who owned the mill?")
UNIVERSITY = ("name", "Stroud University", "At which university did she study?")
REASON = ("reason", "because the water had ruined its floors", "Why were its floors laid anew?")


@pytest.mark.parametrize(
    ("fact", "answer", "given", "known"),
    [
        (HILL, "It stands on a hill.", False, False),
        (HILL, "On Gull Hill.", True, True),
        (HILL, "It stands on the gull.", True, True),
        (PERSON, "Ada Smith did.", True, False),
        (PERSON, "Ada Pell did.", True, True),
        (PERSON, "The mill.", False, False),
        (UNIVERSITY, "She studied at the university.", False, False),
        (UNIVERSITY, "In Stroud.", True, True),
        (REASON, "Because of its ruined floors.", True, False),
        (REASON, "The water had ruined them.", True, True),
        (("year", "1962", "When was it?"), "In 1962.", True, True),
        (("year", "1962", "When was it?"), "In 1926.", False, False),
        (("name", "Ada Pell", "What did Ada Pell own?"), "Ada Pell owned it.", True, False),
    ],
)
def test_what_the_question_says_is_no_answer(fact: tuple[str, str, str], answer: str, given: bool, known: bool) -> None:
    kind, key, question = fact
    asked = Fact(Kind(kind), key, key, "", "")
    assert (gives(answer, asked, question), knows(answer, asked, question)) == (given, known)
