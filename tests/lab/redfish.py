# SPDX-License-Identifier: Apache-2.0
"""Talking to the BMCs of the lab as an operator would."""

from __future__ import annotations

import base64
from typing import Any

from tests.lab import rest
from tests.lab.plan import PORTS
from tests.lab.services.aacloud import BMC_USER
from tests.lab.state import State

#: A node with an interface on the out-of-band network.
FROM = "dc1-ctl"


def power_state(state: State, host: str) -> str:
    """``On`` or ``Off``, as the BMC says.

    :raises RestError: the BMC did not answer.
    """
    return str(_call(state, host, "GET", _system(state, host))["PowerState"])


def reset(state: State, host: str, kind: str) -> None:
    """``On``, ``ForceOff``, ``ForceRestart``, …

    :raises RestError: the BMC did not answer or refused.
    """
    path = f"{_system(state, host)}/Actions/ComputerSystem.Reset"
    _call(state, host, "POST", path, {"ResetType": kind})


def _system(state: State, host: str) -> str:
    systems = _call(state, host, "GET", "/redfish/v1/Systems")
    return str(systems["Members"][0]["@odata.id"])


def _call(
    state: State, host: str, method: str, path: str, body: object = None
) -> Any:
    login = base64.b64encode(f"{BMC_USER}:{state.secret}".encode())
    status, answer, _ = rest.request(
        state.namespace(FROM),
        method,
        f"http://{state.plan.bmc_address(host)}:{PORTS['bmc']}{path}",
        body=body,
        headers={"Authorization": f"Basic {login.decode()}"},
        timeout=20,
    )
    if status >= 400:
        raise rest.RestError(
            status, f"BMC of {host}: {method} {path}: {status} {answer}"
        )
    return answer
