# SPDX-License-Identifier: Apache-2.0
"""Before any functional test is imported: threads, as in the daemons.

oslo.service takes eventlet when it is used before somebody chose, and Nova's
tests then refuse to run in the same process.
"""

import aacloud.cmd  # noqa: F401 - chooses the backend
