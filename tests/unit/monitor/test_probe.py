# SPDX-License-Identifier: Apache-2.0
import pytest

from aacloud.conf import errors
from aacloud.monitor import compute
from aacloud.monitor import probe
from aacloud.monitor import udp
from tests.unit.monitor import agents
from tests.unit.rpc import heartbeats
from tests.unit.rpc import keys


def context(**options: object) -> probe.ProbeContext:
    return probe.ProbeContext(
        conf=agents.conf(agents.free_port(), **options),
        host="h",
        boot_id=heartbeats.BOOT,
        addresses={},
        keys=keys.ring(),
        clock=lambda: 0.0,
    )


def test_the_probes_that_come_with_it_are_loaded_in_order() -> None:
    found = probe.load(["compute", "udp", "compute"], context())
    assert list(found) == ["compute", "udp"]
    assert isinstance(found["udp"], udp.UdpProbe)
    assert isinstance(found["compute"], compute.ComputeProbe)
    found["udp"].stop()


def test_an_unknown_probe_is_refused_with_those_there_are() -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        probe.load(["telepathy"], context())
    text = str(caught.value)
    assert "telepathy cannot be used" in text
    assert "installed are: " in text
    assert "udp" in text


def test_a_probe_that_does_not_load_is_refused_with_the_reason() -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        probe.load(["compute"], context(compute_process="("))
    assert "compute cannot be used" in str(caught.value)
    assert "unterminated subpattern" in str(caught.value)
