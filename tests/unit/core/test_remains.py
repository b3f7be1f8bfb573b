# SPDX-License-Identifier: Apache-2.0
import pytest

from aacloud.core import adoption
from aacloud.core import remains


@pytest.mark.parametrize("runs, waited, expected", [
    (False, 0.0, type(None)),
    (False, 1000.0, type(None)),
    (True, 0.0, adoption.Manual),
    (None, 0.0, adoption.Wait),
    (None, 300.0, adoption.Wait),
    (None, 300.1, adoption.Manual),
])
def test_the_next_try_waits_for_the_destination(runs, waited, expected):
    found = remains.left_behind("s1", "h2", runs, waited, 300.0)
    assert isinstance(found, expected)


def test_the_operator_is_told_where_to_look():
    found = remains.left_behind("s1", "h2", True, 0.0, 300.0)
    assert found.reason_code == "runs-on-destination"
    assert "h2" in found.reason
