# SPDX-License-Identifier: Apache-2.0
"""The hosts."""

from typing import Any

from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import views
from aacloud.api.schemas import basics
from aacloud.api.v1 import base
from aacloud.core import verdicts
from aacloud.db import errors as db_errors


class Hosts(base.Resource):
    """All hosts."""

    path = "/v1/hosts"

    @operations.operation(
        name="list_hosts",
        summary="List hosts",
        description=(
            "Lists the hosts of the topology: what the leading engine holds "
            "each for, and why."
        ),
        tag="hosts",
        policy=policies.hosts.LIST,
        query={
            "dc": basics.text("only hosts of this data centre"),
            "rack": basics.text("only hosts of this rack"),
            "state": basics.choice(
                verdicts.HostState, "only hosts in this state"
            ),
        },
        response="HostList",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return the hosts, sorted by name."""
        everything = self.services.hosts.list()
        domains = views.Domains(everything, self.services.modes.list())
        incidents = {
            incident.host: incident.id
            for incident in self.services.incidents.list(is_open=True)
        }
        return {
            "hosts": [
                views.host(
                    host,
                    domains.verdict(host.name),
                    incidents.get(host.name),
                )
                for host in everything
                if call.query.get("dc") in (None, host.dc)
                and call.query.get("rack") in (None, host.rack)
                and call.query.get("state") in (None, host.state.value)
            ]
        }


class Host(base.Resource):
    """One host."""

    path = "/v1/hosts/{name}"

    @operations.operation(
        name="show_host",
        summary="Show a host",
        description=(
            "Shows what the leading engine holds a host for, and why."
        ),
        tag="hosts",
        policy=policies.hosts.SHOW,
        response="HostAnswer",
        refusals={404: "there is no such host in the topology"},
    )
    def on_get(self, call: operations.Call, name: str) -> dict[str, Any]:
        """Return the host."""
        try:
            record = self.services.hosts.get(name)
        except db_errors.NotFound as problem:
            raise base.not_found(
                problem, "'openstack ha host list' names those that there are"
            ) from None
        # One host alone has one rack and one data centre, which is all that
        # its mode depends on.
        domains = views.Domains([record], self.services.modes.list())
        incidents = self.services.incidents.list(host=name, is_open=True)
        return {
            "host": views.host(
                record,
                domains.verdict(name),
                incidents[0].id if incidents else None,
            )
        }
