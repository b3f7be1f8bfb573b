# SPDX-License-Identifier: Apache-2.0
"""Refusals: one clear sentence each, before anything is touched."""

import dataclasses
import socket

import pytest

from tests.lab import network
from tests.lab import preflight
from tests.lab.plan import LabPlan
from tests.lab.preflight import Facts
from tests.lab.preflight import GIB

GOOD = Facts(
    root=True, system=("debian",), memory=8 * GIB, disk=50 * GIB
)


def test_a_good_machine_is_not_refused() -> None:
    assert preflight.refusal(GOOD, LabPlan()) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"root": False}, ["run it as root"]),
        ({"system": ("fedora",)}, ["Debian and Ubuntu only", "fedora"]),
        ({"system": ()}, ["this system is unknown"]),
        ({"memory": GIB}, ["needs about", "1.0 GiB", "--hosts-per-rack 1"]),
        ({"disk": GIB}, ["4 GiB of free disk", "1.0 GiB", "--dir"]),
        (
            {"taken": (("127.21.1.2", 3306), ("127.21.1.2", 5000))},
            ["127.21.1.2 port 3306", "1 more"],
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_each_lack_is_told_in_one_sentence(
    change: dict[str, object], words: list[str]
) -> None:
    facts = dataclasses.replace(GOOD, **change)
    text = preflight.refusal(facts, LabPlan())
    assert text is not None
    assert "\n" not in text
    for word in words:
        assert word in text


def test_more_hosts_need_more_memory() -> None:
    facts = dataclasses.replace(GOOD, memory=6 * GIB)
    assert preflight.refusal(facts, LabPlan(hosts_per_rack=2)) is None
    text = preflight.refusal(facts, LabPlan(hosts_per_rack=10))
    assert text is not None and "40 hosts" in text


def test_an_installed_lab_needs_less_disk() -> None:
    facts = dataclasses.replace(GOOD, disk=2 * GIB)
    assert preflight.refusal(facts, LabPlan()) is not None
    installed = dataclasses.replace(facts, installed=True)
    assert preflight.refusal(installed, LabPlan()) is None


def test_relatives_of_debian_are_known_by_what_they_are_like() -> None:
    text = 'NAME="Pop!_OS"\nID=pop\nID_LIKE="ubuntu debian"\nVERSION_ID=22\n'
    words = preflight.parse_os_release(text)
    assert words == ("pop", "ubuntu", "debian")
    facts = dataclasses.replace(GOOD, system=words)
    assert preflight.refusal(facts, LabPlan()) is None


def test_available_memory_is_read_in_bytes() -> None:
    text = "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:   42 kB\n"
    assert preflight.parse_meminfo(text) == 42 * 1024
    assert preflight.parse_meminfo("MemTotal: 100 kB\n") == 0


def test_a_taken_address_is_found() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        busy = listener.getsockname()
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            free = other.getsockname()
        assert network.taken([busy, free]) == [busy]


def test_every_address_of_loopback_mode_is_looked_at_once() -> None:
    found = preflight.addresses(LabPlan(loopback=True))
    assert len(found) == len(set(found))
    assert ("127.21.1.2", 3306) in found
    assert ("127.20.0.108", 8000) in found
