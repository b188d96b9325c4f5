from __future__ import annotations

import signal
import threading

import pytest

from nc_bench.training.stopping import catch_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_noted_and_nothing_else_happens(number: signal.Signals) -> None:
    with catch_signals() as interrupt:
        assert not interrupt
        signal.raise_signal(number)
        assert interrupt and interrupt.signal is number


def test_a_second_signal_does_not_wait() -> None:
    with catch_signals() as interrupt:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert interrupt.signal is signal.SIGTERM


def test_handlers_are_as_they_were_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(ZeroDivisionError), catch_signals():
        assert [signal.getsignal(number) for number in numbers] != before
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in numbers] == before


def test_in_another_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with catch_signals() as interrupt:
            seen.append((bool(interrupt), signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(False, before)]
