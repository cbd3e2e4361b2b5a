"""Who asks for sleep or waking, who is told, and who is heard when several ask."""

import pytest

from worker.engine.sleep import Sleep


def test_the_asker_is_told_when_it_is_so() -> None:
    sleep = Sleep()
    assert not sleep.turning
    asleep = sleep.want(asleep=True)
    assert (sleep.wanted, sleep.turning, asleep.done()) == (True, True, False)
    sleep.turned(asleep=True)
    assert (sleep.turning, asleep.result(0)) == (False, None)


def test_the_last_one_to_ask_is_heard_and_the_others_are_told() -> None:
    sleep = Sleep()
    asleep = sleep.want(asleep=True, abort=True)
    awake = sleep.want(asleep=False)
    with pytest.raises(RuntimeError, match="woken before"):
        asleep.result(0)
    sleep.turned(asleep=True)  # it was about to
    assert (sleep.turning, awake.done(), sleep.aborts) == (True, False, False)
    sleep.turned(asleep=False)
    assert awake.done()


def test_one_that_wants_to_break_off_hastens_those_that_wait() -> None:
    sleep = Sleep()
    waiting = sleep.want(asleep=True)
    before = sleep.aborts
    sleep.want(asleep=True, abort=True)
    assert (before, sleep.aborts) == (False, True)
    sleep.turned(asleep=True)
    assert waiting.done()


def test_after_a_failure_it_stays_as_it_was_and_may_be_asked_again() -> None:
    sleep = Sleep()
    sleep.want(asleep=True)
    sleep.turned(asleep=True)
    awake = sleep.want(asleep=False)
    sleep.failed(MemoryError("out of memory"))
    assert sleep.wanted
    with pytest.raises(MemoryError):
        awake.result(0)
    again = sleep.want(asleep=False)
    sleep.turned(asleep=False)
    assert again.done()


def test_an_asker_that_has_gone_is_not_missed() -> None:
    sleep = Sleep()
    assert sleep.want(asleep=True).cancel()
    sleep.turned(asleep=True)
    assert not sleep.turning
