"""Ctrl-C waits for the end of what must not be left half done."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tooldojo.rollouts.interrupts import uninterrupted


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
