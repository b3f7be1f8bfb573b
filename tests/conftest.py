# SPDX-License-Identifier: Apache-2.0
"""How all tests run."""

from __future__ import annotations

import os

import pytest


# The lab's tests run one after another, without pytest-xdist.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One more than there are processors: some wait for what they start."""
    return min(len(os.sched_getaffinity(0)) + 1, 16)
