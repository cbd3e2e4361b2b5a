import time

import pytest

from worker.pairs.markup import tokens_of


@pytest.mark.parametrize("text", ["<!-- ", "<!--\n\n", "<a b='", "<b>x</b> ", "~~a "])
def test_marks_made_to_be_slow_take_little_time(text: str) -> None:
    began = time.process_time()
    assert tokens_of(text * 10_000)
    assert time.process_time() - began < 5


def test_a_comment_that_never_ends_hides_nothing() -> None:
    assert "Bo is old." in [token.content for token in tokens_of("<!-- no end\n\nBo is old.")]
