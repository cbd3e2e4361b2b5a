"""Text as it grows: whole characters, and nothing of a stop string, however the tokens fall."""

import random

import pytest

from tests.tiny import make_tokenizer
from worker.engine.text import TextStream

TOKENIZER = make_tokenizer()
TEXTS = ["the lighthouse", "naïve café", "日本の灯台 🙂🙃 and more", "🏴󠁧󠁢󠁳󠁣󠁴󠁿", "a\n\nb  c", ""]


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_whole_characters_and_add_up(text: str) -> None:
    stream = TextStream(TOKENIZER)
    pieces = []
    for token in TOKENIZER.encode(text):
        stream.push(token)
        pieces.append(stream.take(last=False))
    stream.finish()
    pieces.append(stream.take(last=True))
    assert "".join(pieces) == text
    assert not any("�" in piece for piece in pieces)


def test_half_a_character_at_the_end_is_dropped() -> None:
    stream = TextStream(TOKENIZER)
    for token in TOKENIZER.encode("a日")[:-1]:
        stream.push(token)
    assert stream.take(last=False) == "a"
    stream.finish()
    assert stream.take(last=True) == ""
    stream = TextStream(TOKENIZER)
    stream.set(TOKENIZER.encode("a日")[:-1])
    stream.finish()
    assert stream.text == "a"


def test_a_stop_string_is_never_given_even_in_part() -> None:
    rng = random.Random(0)
    for _ in range(200):
        text = "".join(rng.choice("ab日\n") for _ in range(12))
        stops = ["".join(rng.choice("ab日\n") for _ in range(rng.randint(1, 4))) for _ in range(2)]
        stream = TextStream(TOKENIZER, stops)
        given = ""
        for token in TOKENIZER.encode(text):
            stream.push(token)
            if stream.stopped_by is not None:
                break
            given += stream.take(last=False)
        else:
            stream.finish()
        given += stream.take(last=True)
        ends = [(text.index(stop) + len(stop), text.index(stop)) for stop in stops if stop in text]
        assert given == (text[: min(ends)[1]] if ends else text), (text, stops)  # the first to be whole counts


def test_special_tokens_are_left_out_unless_wanted() -> None:
    tokens = TOKENIZER.encode("a<|im_end|>b")
    for skip, expected in ((True, "ab"), (False, "a<|im_end|>b")):
        stream = TextStream(TOKENIZER, skip_special=skip)
        for token in tokens:
            stream.push(token)
        stream.finish()
        assert stream.text == expected
