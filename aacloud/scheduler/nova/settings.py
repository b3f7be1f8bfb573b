# SPDX-License-Identifier: Apache-2.0
"""The options of the filter, read from nova.conf's own files."""

from __future__ import annotations

import dataclasses

from oslo_config import cfg

from aacloud.conf import scheduler as conf_scheduler
from aacloud.core import rules


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """What the filter goes by. Times in seconds.

    :ivar snapshot_file: None keeps none
    :ivar on_unknown: for a hint that no engine could explain
    :ivar unknown_hint: for a hint that no group answers to
    """

    poll_interval: float = 5.0
    max_stale: float = 3600.0
    hint_timeout: float = 0.2
    first_wait: float = 1.0
    query_timeout: float = 5.0
    snapshot_file: str | None = None
    on_unknown: rules.OnUnknown = rules.OnUnknown.OPEN
    unknown_hint: rules.OnUnknown = rules.OnUnknown.CLOSED
    weight_multiplier: float = 1000.0
    host: str = ""


def read(conf: cfg.ConfigOpts) -> Settings:
    """Read them of the options of the process."""
    conf_scheduler.register_opts(conf)
    group = getattr(conf, conf_scheduler.GROUP)
    values = {
        field.name: getattr(group, field.name)
        for field in dataclasses.fields(Settings)}
    for name in ("on_unknown", "unknown_hint"):
        values[name] = rules.OnUnknown(values[name])
    return Settings(**values)
