# SPDX-License-Identifier: Apache-2.0
"""Rules of HA server groups: text, validation, counts, placement, state."""

from aacloud.core.rules.counting import count
from aacloud.core.rules.counting import Domains
from aacloud.core.rules.counting import excess
from aacloud.core.rules.counting import UNPLACED
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
from aacloud.core.rules.text import format_rule
from aacloud.core.rules.text import parse_rule
from aacloud.core.rules.text import rule_from_dict
from aacloud.core.rules.text import rule_to_dict
from aacloud.core.topology import Level

__all__ = (
    "LEVELS",
    "UNPLACED",
    "Domains",
    "Group",
    "GroupMode",
    "Level",
    "Occupancy",
    "OnEvacuate",
    "OnUnknown",
    "Place",
    "Rule",
    "RuleError",
    "RuleKind",
    "Strength",
    "count",
    "excess",
    "format_rule",
    "parse_rule",
    "rule_from_dict",
    "rule_to_dict",
)
