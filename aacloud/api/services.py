# SPDX-License-Identifier: Apache-2.0
"""What the resources of the API need."""

import dataclasses
from typing import Any

from oslo_config import cfg

from aacloud.api import engine as api_engine
from aacloud.api import policy
from aacloud.db import api as db_api
from aacloud.db import groups as db_groups
from aacloud.db import inspections as db_inspections
from aacloud.db import plans as db_plans
from aacloud.db import quotas as db_quotas


@dataclasses.dataclass(frozen=True, slots=True)
class Services:
    """What every resource is made with.

    :ivar conf: the configuration
    :ivar policy: who may do what
    :ivar hosts: what the engine knows of the hosts
    :ivar modes: what operators set for domains
    :ivar incidents: the incidents
    :ivar groups: the HA server groups
    :ivar plans: their repair plans
    :ivar quotas: how many groups and members projects may have
    :ivar inspections: how the groups were found last
    :ivar places: where their members were seen last
    :ivar engine: what only the engine of server groups can tell
    :ivar openapi: the document of the API
    """

    conf: cfg.ConfigOpts
    policy: policy.Policy
    hosts: db_api.Hosts
    modes: db_api.Modes
    incidents: db_api.Incidents
    groups: db_groups.Groups
    plans: db_plans.Plans
    quotas: db_quotas.Quotas
    inspections: db_inspections.Inspections
    places: db_inspections.Places
    engine: api_engine.Engine
    openapi: dict[str, Any]
