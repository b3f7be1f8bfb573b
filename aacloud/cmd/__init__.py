# SPDX-License-Identifier: Apache-2.0
"""The commands: each a thin entry point that wires and runs.

oslo.service must know its backend before anything of it is used, so it is
told here, where every process of aacloud begins.
"""

import warnings

# futurist imports eventlet when it is installed, which warns; nothing here
# uses it.
warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")

from oslo_service import backend  # noqa: E402

backend.init_backend(backend.BackendType.THREADING)
