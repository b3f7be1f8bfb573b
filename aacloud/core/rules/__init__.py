# SPDX-License-Identifier: Apache-2.0
"""Rules of HA server groups: text, validation, counts, placement, state."""

from aacloud.core.rules.counting import count
from aacloud.core.rules.counting import Domains
from aacloud.core.rules.counting import excess
from aacloud.core.rules.counting import UNPLACED
from aacloud.core.rules.inspecting import GroupReport
from aacloud.core.rules.inspecting import GroupState
from aacloud.core.rules.inspecting import inspect
from aacloud.core.rules.inspecting import inspect_all
from aacloud.core.rules.inspecting import Inspector
from aacloud.core.rules.inspecting import limit_text
from aacloud.core.rules.inspecting import RuleReport
from aacloud.core.rules.mending import mend
from aacloud.core.rules.mending import Mending
from aacloud.core.rules.model import Group
from aacloud.core.rules.model import GroupMode
from aacloud.core.rules.model import LEVELS
from aacloud.core.rules.model import Occupancy
from aacloud.core.rules.model import OnEvacuate
from aacloud.core.rules.model import OnUnknown
from aacloud.core.rules.model import Place
from aacloud.core.rules.model import Rule
from aacloud.core.rules.model import RuleError
from aacloud.core.rules.model import RuleKind
from aacloud.core.rules.model import Strength
from aacloud.core.rules.placement import DomainRulings
from aacloud.core.rules.placement import GroupRulings
from aacloud.core.rules.placement import judge_domains
from aacloud.core.rules.placement import judge_group
from aacloud.core.rules.placement import judge_host
from aacloud.core.rules.placement import RuleRulings
from aacloud.core.rules.placement import RuleState
from aacloud.core.rules.placement import Ruling
from aacloud.core.rules.text import format_rule
from aacloud.core.rules.text import parse_rule
from aacloud.core.rules.text import rule_from_dict
from aacloud.core.rules.text import rule_to_dict
from aacloud.core.rules.validation import Contradiction
from aacloud.core.rules.validation import contradictions
from aacloud.core.rules.validation import unknown_domains
from aacloud.core.rules.validation import UnknownDomain
from aacloud.core.topology import Level

__all__ = (
    "LEVELS",
    "UNPLACED",
    "Contradiction",
    "DomainRulings",
    "Domains",
    "Group",
    "GroupMode",
    "GroupReport",
    "GroupRulings",
    "GroupState",
    "Inspector",
    "Level",
    "Mending",
    "Occupancy",
    "OnEvacuate",
    "OnUnknown",
    "Place",
    "Rule",
    "RuleError",
    "RuleKind",
    "RuleReport",
    "RuleRulings",
    "RuleState",
    "Ruling",
    "Strength",
    "UnknownDomain",
    "contradictions",
    "count",
    "excess",
    "format_rule",
    "inspect",
    "inspect_all",
    "judge_domains",
    "judge_group",
    "judge_host",
    "limit_text",
    "mend",
    "parse_rule",
    "rule_from_dict",
    "rule_to_dict",
    "unknown_domains",
)
