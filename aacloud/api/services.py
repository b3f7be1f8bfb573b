# SPDX-License-Identifier: Apache-2.0
"""What the resources of the API need."""

import dataclasses
from typing import Any

from oslo_config import cfg

from aacloud.api import policy
from aacloud.db import api as db_api


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """What every resource is made with.

    :ivar conf: the configuration
    :ivar policy: who may do what
    :ivar hosts: what the engine knows of the hosts
    :ivar modes: what operators set for domains
    :ivar incidents: the incidents
    :ivar openapi: the document of the API
    """

    conf: cfg.ConfigOpts
    policy: policy.Policy
    hosts: db_api.Hosts
    modes: db_api.Modes
    incidents: db_api.Incidents
    openapi: dict[str, Any]
