# SPDX-License-Identifier: Apache-2.0
"""How the functional tests run."""

from oslo_service import backend

# As in every process of aacloud, and before anything of oslo.messaging is
# imported: that would choose eventlet. Real Nova wants the same answer.
backend.init_backend(backend.BackendType.THREADING)
