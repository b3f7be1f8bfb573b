# SPDX-License-Identifier: Apache-2.0
"""The failover modes: which domains are armed."""

from typing import Any

from oslo_log import log

from aacloud.api import errors
from aacloud.api import operations
from aacloud.api import policies
from aacloud.api import views
from aacloud.api.v1 import base
from aacloud.core import brakes
from aacloud.core import topology
from aacloud.db import api as db_api

LOG = log.getLogger(__name__)

_WIDEST_FIRST = (
    topology.Level.CLOUD,
    topology.Level.DC,
    topology.Level.RACK,
    topology.Level.HOST,
)


class Modes(base.Resource):
    """All modes."""

    path = "/v1/failover/modes"

    @operations.operation(
        name="list_modes",
        summary="List failover modes",
        description=(
            "Lists what operators set for domains, and what follows for "
            "each host. A domain without a setting inherits; a cloud "
            "without one is in shadow mode."
        ),
        tag="failover",
        policy=policies.failover.LIST,
        response="ModeList",
    )
    def on_get(self, call: operations.Call) -> dict[str, Any]:
        """Return the settings and what follows from them."""
        settings = self.services.modes.list()
        domains = views.Domains(self.services.hosts.list(), settings)
        return {
            "modes": [
                views.mode(setting)
                for setting in sorted(
                    settings,
                    key=lambda setting: (
                        _WIDEST_FIRST.index(setting.level),
                        setting.name,
                    ),
                )
            ],
            "effective": domains.effective(domains.topology.hosts),
        }


class Mode(base.Resource):
    """The mode of one domain."""

    path = "/v1/failover/modes/{level}/{domain}"

    def _previous(
        self, level: topology.Level, name: str
    ) -> db_api.ModeSetting | None:
        for setting in self.services.modes.list():
            if (setting.level, setting.name) == (level, name):
                return setting
        return None

    @operations.operation(
        name="set_mode",
        summary="Set the failover mode of a domain",
        description=(
            "Arms or disarms a domain, or puts it into shadow mode; the "
            "engine follows with its next turn. Once disarmed, nothing is "
            "begun, and of a recovery under way nothing more is sent; what "
            "Nova does already goes on. Once armed, an incident in shadow "
            "mode begins anew. Who set the mode, when and why is kept."
        ),
        tag="failover",
        policy=policies.failover.SET,
        body="ModeRequest",
        response="ModeAnswer",
        refusals={
            400: "the level, the domain or the mode does not exist",
        },
    )
    def on_put(
        self, call: operations.Call, level: str, domain: str
    ) -> dict[str, Any]:
        """Store the setting and return what follows."""
        rank = base.level_of(level)
        tree = self.domains().topology
        inside = tree.hosts_of(rank, domain)
        # The whole cloud can be disarmed also before any host is known.
        is_cloud = (rank, domain) == (
            topology.Level.CLOUD,
            topology.CLOUD_NAME,
        )
        if not inside and not is_cloud:
            raise errors.BadRequest(
                f"the topology knows no {rank.value} {errors.echo(domain)}; "
                f"it knows {_known(tree, rank)}"
            )
        previous = self._previous(rank, domain)
        setting = self.services.modes.set(
            rank,
            domain,
            brakes.Mode(call.body["mode"]),
            reason=call.body["reason"],
            by=call.caller.who,
        )
        LOG.warning(
            "Failover mode of %s %s: %s, before %s; set by %s: %s",
            rank.value,
            domain,
            setting.mode.value,
            previous.mode.value if previous else "inherited",
            setting.set_by,
            setting.reason,
        )
        domains = self.domains()
        return {
            "mode": views.mode(setting),
            "previous": None if previous is None else views.mode(previous),
            "effective": domains.effective(
                domains.topology.hosts_of(rank, domain)
            ),
        }

    @operations.operation(
        name="reset_mode",
        summary="Let a domain inherit its failover mode",
        description=(
            "Removes what was set for a domain; the enclosing domain "
            "decides again. Also a domain that the topology no longer has "
            "can be removed so."
        ),
        tag="failover",
        policy=policies.failover.RESET,
        status=204,
        refusals={
            400: "the level does not exist",
            404: "nothing is set for this domain",
        },
    )
    def on_delete(
        self, call: operations.Call, level: str, domain: str
    ) -> None:
        """Remove the setting."""
        rank = base.level_of(level)
        previous = self._previous(rank, domain)
        if previous is None or not self.services.modes.clear(rank, domain):
            raise errors.NotFound(
                f"nothing is set for the {rank.value} "
                f"{errors.echo(domain)}: it inherits its mode"
            )
        LOG.warning(
            "Failover mode of %s %s: inherited, before %s; reset by %s",
            rank.value,
            domain,
            previous.mode.value,
            call.caller.who,
        )


def _known(tree: topology.Topology, level: topology.Level) -> str:
    """Return the domains of a level, for an error text."""
    if level is topology.Level.CLOUD:
        names: tuple[str, ...] = (topology.CLOUD_NAME,)
    elif level is topology.Level.DC:
        names = tree.dcs()
    elif level is topology.Level.RACK:
        names = tree.racks()
    else:
        names = tuple(sorted(tree.hosts))
    shown = ", ".join(names[:20]) or "none yet (see 'aacloud-manage topology')"
    return f"{shown}, …" if len(names) > 20 else shown
