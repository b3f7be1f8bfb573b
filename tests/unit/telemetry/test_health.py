# SPDX-License-Identifier: Apache-2.0
"""The health of a process, as its source tells it."""

from collections.abc import Iterator

from oslo_config import cfg
import pytest

from aacloud.telemetry import health


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    health.set_source(None)
    yield
    health.set_source(None)


def asked() -> tuple[bool, str, str]:
    result = health.ProcessHealth(cfg.ConfigOpts(), {}).healthcheck(80)
    return result.available, result.reason, str(result.details)


def test_without_a_source() -> None:
    assert asked() == (True, "OK", "")


def test_all_well() -> None:
    health.set_source(lambda: {"lease": (True, "held")})
    assert asked() == (True, "OK", "lease: held")


def test_every_failed_check_is_told() -> None:
    health.set_source(
        lambda: {
            "messages": (False, "no answer for 4 s"),
            "lease": (True, "held"),
            "journal": (False, "unreachable"),
        }
    )
    available, reason, details = asked()
    assert not available
    assert reason == "journal: unreachable; messages: no answer for 4 s"
    assert "lease: held" in details


def test_a_source_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    def source() -> health.Checks:
        raise RuntimeError("no idea")

    health.set_source(source)
    available, reason, _ = asked()
    assert not available
    assert "no idea" in reason
    assert "cannot be told" in caplog.text
