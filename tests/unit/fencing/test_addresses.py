# SPDX-License-Identifier: Apache-2.0
"""Addresses of IPMI controllers."""

import pytest

from aacloud.fencing import ipmi


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("192.0.2.1", ("192.0.2.1", 623)),
        ("192.0.2.1:6230", ("192.0.2.1", 6230)),
        ("bmc.example.org", ("bmc.example.org", 623)),
        ("[2001:db8::1]:6230", ("2001:db8::1", 6230)),
        ("[2001:db8::1]", ("2001:db8::1", 623)),
        ("2001:db8::1", ("2001:db8::1", 623)),
    ],
)
def test_good_addresses(address, wanted):
    assert ipmi.split_address(address) == wanted


@pytest.mark.parametrize(
    "address",
    ["", ":623", "bmc:", "bmc:x", "bmc:70000", "http://bmc", "[::1", "[::1]:"],
)
def test_bad_addresses(address):
    with pytest.raises(ValueError, match=r"is not|has an empty"):
        ipmi.split_address(address)
