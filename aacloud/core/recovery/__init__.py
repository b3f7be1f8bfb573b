# SPDX-License-Identifier: Apache-2.0
"""Recovery: which servers are moved, where to, and which are held."""

from aacloud.core.recovery.planning import plan_evacuation
from aacloud.core.recovery.storage import storage_verdict
from aacloud.core.recovery.views import DestinationView
from aacloud.core.recovery.views import EvacuationPlan
from aacloud.core.recovery.views import FlavorView
from aacloud.core.recovery.views import GroupView
from aacloud.core.recovery.views import HeldServer
from aacloud.core.recovery.views import PlannedMove
from aacloud.core.recovery.views import RecoveryPolicy
from aacloud.core.recovery.views import ServerView
from aacloud.core.recovery.views import StorageVerdict

__all__ = (
    "DestinationView",
    "EvacuationPlan",
    "FlavorView",
    "GroupView",
    "HeldServer",
    "PlannedMove",
    "RecoveryPolicy",
    "ServerView",
    "StorageVerdict",
    "plan_evacuation",
    "storage_verdict",
)
