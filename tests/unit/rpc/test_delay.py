# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st
import pytest

from aacloud.rpc import delay


def test_the_offset_of_the_clocks_does_not_matter() -> None:
    meter = delay.DelayMeter()
    assert meter.delay(sent=5.0, now=1000.0) == 0.0
    assert meter.delay(sent=6.0, now=1001.25) == pytest.approx(0.25)
    assert meter.delay(sent=7.0, now=1002.0) == pytest.approx(0.0)


def test_a_backlog_is_not_taken_for_fresh() -> None:
    meter = delay.DelayMeter()
    for second in range(400):
        meter.delay(float(second), 1000.0 + second)
    # The receiver stood still for 60 s, then gets all at once.
    late = [meter.delay(400.0 + n, 1460.0) for n in range(60)]
    assert late[0] == pytest.approx(60.0)
    assert late[-1] == pytest.approx(1.0)


def test_clocks_may_drift_apart_slowly() -> None:
    meter = delay.DelayMeter()
    worst = max(
        meter.delay(second * (1 - 100e-6), 1000.0 + second)
        for second in range(20_000)
    )
    assert worst < 0.1


def test_a_lasting_jump_is_forgotten() -> None:
    meter = delay.DelayMeter(span=10)
    for second in range(20):
        meter.delay(float(second), float(second))
    after = [meter.delay(second - 50.0, float(second)) for second in
             range(20, 60)]
    assert after[0] == pytest.approx(50.0)
    assert after[-1] == pytest.approx(0.0)


@given(
    st.lists(st.tuples(st.floats(0, 1e9), st.floats(0, 1e9)), max_size=50)
)
def test_a_delay_is_never_negative(pairs: list[tuple[float, float]]) -> None:
    meter = delay.DelayMeter(span=5)
    assert all(meter.delay(sent, now) >= 0 for sent, now in pairs)
