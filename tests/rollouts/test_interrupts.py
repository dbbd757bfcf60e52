"""Ctrl-C waits for the end of what must not be left half done."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tooldojo.rollouts.interrupts import uninterrupted


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C as in the foreground: a shell lets its background jobs ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeded")
def test_ctrl_c_comes_at_the_end() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        reached = True
    assert reached
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_ctrl_c_nothing_happens_even_off_the_main_thread() -> None:
    done: list[bool] = []

    def work() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    work()
    assert done == [True, True]
