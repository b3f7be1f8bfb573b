# SPDX-License-Identifier: Apache-2.0
"""An interrupt ends the watching, wherever it comes."""

from __future__ import annotations

import signal

import pytest

from aacloud.client.osc import watch


class Dying:
    """Is interrupted while it is finalized, where Python drops it."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_a_finalizer_dropped() -> None:
    with watch.Interrupts() as interrupts:
        Dying()
        with pytest.raises(KeyboardInterrupt):
            interrupts.wait(60.0)


def test_one_that_comes_while_it_waits() -> None:
    with watch.Interrupts() as interrupts:
        interrupts.wait(0.001)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_what_was_set_before_is_set_again() -> None:
    before = signal.getsignal(signal.SIGINT)
    with watch.Interrupts():
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
