# SPDX-License-Identifier: Apache-2.0
"""The BMCs of all hosts: one process with an address for each."""

from __future__ import annotations

from tests.lab import rest
from tests.lab.plan import OOB
from tests.lab.plan import PORTS
from tests.lab.services.aacloud import BMC_USER
from tests.lab.services.base import Service
from tests.lab.state import State


def service(state: State) -> Service:
    hosts = [
        f"{node.name}={state.plan.bmc_address(node.name)}"
        for node in state.plan.hosts
    ]
    return Service(
        name="bmc",
        node=OOB,
        argv=(state.bin("python"), "-m", "tests.lab.runtime.bmc", *hosts),
        env={
            "AALAB_BMC_USER": BMC_USER,
            "AALAB_BMC_PASSWORD": state.secret,
        },
        address=(state.plan.bmc_address(state.plan.hosts[-1].name),
                 PORTS["bmc"]),
        ready=lambda since: answers(state, state.plan.hosts[0].name),
    )  # fmt: skip


def answers(state: State, host: str) -> bool:
    """Whether the BMC of a host can be talked to.

    One that was made dead on purpose is as it should be.
    """
    if state.fault(f"bmc-dead.{host}").exists():
        return True
    try:
        status, _, _ = rest.request(
            state.namespace(OOB),
            "GET",
            f"http://{state.plan.bmc_address(host)}:{PORTS['bmc']}"
            "/redfish/v1/",
            timeout=2,
        )
    except rest.RestError:
        return False
    return status == 200
