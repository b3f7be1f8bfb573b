# SPDX-License-Identifier: Apache-2.0
"""Names of domains in sentences for who may not know them."""

from __future__ import annotations

import pytest

from aacloud.api import domain_names
from aacloud.core import topology

NAMES = ("a", "h:1", "r(2)", "12")


def names() -> domain_names.Names:
    return domain_names.Names(
        topology.Topology(
            hosts={
                name: topology.Host(name, f"rack-{name}", "one")
                for name in NAMES
            }
        ),
        known=False,
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("host a, and a.", "host host-2, and host-2."),
        ("fence:host:domains=a:prefer", "fence:host:domains=host-2:prefer"),
        ("domains=h%3A1,a:prefer", "domains=host-3,host-2:prefer"),
        ("on h:1: full", "on host-3: full"),
        ("r(2) is full", "host-4 is full"),
        ("(r(2))", "(host-4)"),
        ("rack-r(2)/a", "rack-4/host-2"),
        ("at 12:00:12 UTC", "at 12:00:12 UTC"),
        ("12 is full", "host-1 is full"),
    ],
)
def test_sentences(text: str, shown: str) -> None:
    assert names().text(text) == shown


def test_hosts_that_are_not_in_the_topology() -> None:
    found = names()
    assert found.text("off gone") == "off gone"
    assert found.host("gone") == "host-5"
    assert found.text("off gone") == "off host-5"
