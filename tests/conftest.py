# SPDX-License-Identifier: Apache-2.0
"""How all tests run."""

import hypothesis

# How fast an example runs says something about the machine, which may be busy
# with other tests, and nothing about what is tested.
hypothesis.settings.register_profile(
    "aacloud",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("aacloud")
