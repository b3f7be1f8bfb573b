# SPDX-License-Identifier: Apache-2.0
"""Properties are about what is decided, not about how fast a host is."""

from hypothesis import HealthCheck
from hypothesis import settings

settings.register_profile(
    "core", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("core")
