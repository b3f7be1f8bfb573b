# SPDX-License-Identifier: Apache-2.0
"""What oslo.config's generators ask for: all options, and our defaults."""

from oslo_config import cfg
from oslo_log import log
from oslo_middleware.healthcheck import opts as healthcheck_opts

from aacloud.conf import agent
from aacloud.conf import api
from aacloud.conf import coordination
from aacloud.conf import failover
from aacloud.conf import fencing
from aacloud.conf import groups
from aacloud.conf import keystone
from aacloud.conf import scheduler
from aacloud.conf import service

#: One module a section, in the order of the sample file.
SECTIONS = (
    service,
    agent,
    failover,
    fencing,
    groups,
    scheduler,
    coordination,
    keystone,
    api,
)

#: Libraries that would fill the log of a daemon that asks once a second.
QUIET_LIBRARIES = (
    "etcd3gw=WARNING",
    "keystoneauth=WARNING",
    "novaclient=WARNING",
    "sushy=WARNING",
)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return every section of aacloud's own as (group, options)."""
    return [entry for module in SECTIONS for entry in module.list_opts()]


def set_defaults() -> None:
    """Set aacloud's defaults of options that belong to libraries."""
    log.set_defaults(
        default_log_levels=[
            *log.get_default_log_levels(),
            *QUIET_LIBRARIES,
        ]
    )
    cfg.set_defaults(healthcheck_opts.HEALTHCHECK_OPTS, backends=["aacloud"])
