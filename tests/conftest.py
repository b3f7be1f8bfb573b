# SPDX-License-Identifier: Apache-2.0
"""How all tests run."""

from __future__ import annotations

import os

import pytest


# The lab's tests run one after another, without pytest-xdist.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two workers a processor: the tests wait for much that they start."""
    processors = len(os.sched_getaffinity(0))
    return min(2 * processors, 16)
