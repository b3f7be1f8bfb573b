# SPDX-License-Identifier: Apache-2.0
"""Verdicts: from what all agents observed to what is held true."""

from aacloud.core.verdicts.judging import judge
from aacloud.core.verdicts.services import follow_service
from aacloud.core.verdicts.words import DetectionPolicy
from aacloud.core.verdicts.words import HostState
from aacloud.core.verdicts.words import HostVerdict
from aacloud.core.verdicts.words import Judgement
from aacloud.core.verdicts.words import NetworkState
from aacloud.core.verdicts.words import NovaServiceView
from aacloud.core.verdicts.words import WorldView

__all__ = (
    "DetectionPolicy",
    "HostState",
    "HostVerdict",
    "Judgement",
    "NetworkState",
    "NovaServiceView",
    "WorldView",
    "follow_service",
    "judge",
)
