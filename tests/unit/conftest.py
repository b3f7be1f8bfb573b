# SPDX-License-Identifier: Apache-2.0
"""How the unit tests run."""

import os

import hypothesis
from oslo_service import backend

# As in every process of aacloud, and before anything of oslo.messaging is
# imported: that would choose eventlet.
backend.init_backend(backend.BackendType.THREADING)

# How fast an example runs says something about the machine, which may be busy
# with other tests, and nothing about what is tested.
hypothesis.settings.register_profile(
    "aacloud",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    # The same examples each time in CI, where a failure must tell of the
    # change; everywhere else new ones are looked for.
    derandomize=bool(os.environ.get("CI")),
    print_blob=True,
)
hypothesis.settings.load_profile("aacloud")
