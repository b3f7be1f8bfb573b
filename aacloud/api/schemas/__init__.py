# SPDX-License-Identifier: Apache-2.0
"""The schemas of all bodies, by the names that the API document gives them.

Requests and responses are checked against these very objects, and the
OpenAPI document holds them as its components.
"""

from aacloud.api.schemas import basics
from aacloud.api.schemas import failover
from aacloud.api.schemas import groups
from aacloud.api.schemas import hosts
from aacloud.api.schemas import incidents
from aacloud.api.schemas import plans
from aacloud.api.schemas import service

PREFIX = basics.PREFIX

COMPONENTS: dict[str, basics.Schema] = {
    **service.COMPONENTS,
    **hosts.COMPONENTS,
    **incidents.COMPONENTS,
    **failover.COMPONENTS,
    **groups.COMPONENTS,
    **plans.COMPONENTS,
}
