# SPDX-License-Identifier: Apache-2.0
"""The fencing inventory: every problem is listed, with its place."""

import pytest
import yaml

from aacloud.fencing import drivers
from aacloud.fencing import inventory

KNOWN = drivers.load_drivers(1.0)


def problems(document):
    with pytest.raises(inventory.InventoryError) as raised:
        inventory.parse(document, KNOWN)
    return raised.value.problems


def test_the_installed_drivers_are_found():
    assert set(KNOWN) >= {"redfish", "ipmi", "noop"}
    for name, driver in KNOWN.items():
        assert driver.name == name


def test_a_good_file(tmp_path):
    path = tmp_path / "fencing.yaml"
    path.write_text(
        """
        hosts:
          h1: {driver: redfish, address: "https://192.0.2.1",
               username: u, password: p, options: {verify: false}}
          h2:
            - {driver: ipmi, address: "192.0.2.2:6230",
               username: u, password: p}
            - {driver: noop}
        """
    )
    found = inventory.load(str(path), KNOWN)
    assert [leg.driver for leg in found.legs("h2")] == ["ipmi", "noop"]
    assert found.legs("h1")[0].options == {"verify": False}
    assert found.legs("h9") == ()
    assert found.missing({"h1", "h3", "h9"}) == ("h3", "h9")
    assert "password" not in repr(found.legs("h1")[0])


def test_every_problem_is_listed_with_its_place():
    listed = problems(
        {
            "version": 1,
            "hosts": {
                "h1": {"driver": "redfish", "address": "192.0.2.1"},
                "h2": {"driver": "telepathy"},
                "h3": {"adress": "x"},
                "h4": [],
                "h5": "redfish",
                7: {"driver": "noop"},
                "h6": [
                    {"driver": "noop"},
                    {
                        "driver": "ipmi",
                        "address": "bmc:0",
                        "username": "u",
                        "password": 1234,
                        "options": {"privilege": "root", "port": 1},
                    },
                ],
            },
        }
    )
    text = "\n".join(listed)
    for wanted in (
        "unknown key 'version'",
        "hosts.h1: address '192.0.2.1' is not a URL",
        "hosts.h1: username is missing",
        "hosts.h2: unknown driver 'telepathy'; known: ipmi, noop, redfish",
        "hosts.h3: unknown key 'adress'",
        "hosts.h3: driver is missing",
        "hosts.h4: the list of legs is empty",
        "hosts.h5: not a mapping",
        "hosts: 7 is not a host name",
        "hosts.h6[1]: address: '0' is not a port",
        "hosts.h6[1]: password is not a string",
        "hosts.h6[1]: privilege 'root'",
        "hosts.h6[1]: unknown option 'port'",
    ):
        assert wanted in text
    assert "1234" not in text


@pytest.mark.parametrize("document", [None, [], "hosts", {}, {"hosts": []}])
def test_no_hosts_at_all(document):
    assert problems(document)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("hosts: {h1: {driver: noop}, h1: {driver: noop}}", "stands twice"),
        ("hosts: [", "is not YAML"),
        ("hosts: !!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_broken_files_are_told_with_their_path(tmp_path, text, wanted):
    path = tmp_path / "fencing.yaml"
    path.write_text(text)
    with pytest.raises(inventory.InventoryError) as raised:
        inventory.load(str(path), KNOWN)
    assert wanted in raised.value.problems[0]
    assert str(path) in raised.value.problems[0]


def test_a_missing_file(tmp_path):
    path = str(tmp_path / "nowhere.yaml")
    with pytest.raises(inventory.InventoryError, match="No such file"):
        inventory.load(path, KNOWN)


def test_two_hosts_cannot_share_a_controller():
    entry = "{driver: redfish, address: 'http://192.0.2.1%s', username: a,"
    entry += " password: b}"
    text = f"hosts: {{h1: {entry % ''}, h2: {entry % '/'}}}"
    found = problems(yaml.safe_load(text))
    assert len(found) == 1
    assert "h2" in found[0]
    assert "controller of host h1" in found[0]
