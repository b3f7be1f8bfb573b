# SPDX-License-Identifier: Apache-2.0
"""Settings of gunicorn for every API of the lab."""

import os
import sys

from tests.lab.runtime.daemon import settle

bind = os.environ["AALAB_BIND"]
workers = 1
threads = int(os.environ["AALAB_THREADS"])
worker_class = "gthread"
timeout = 120
graceful_timeout = 5
keepalive = 30
# Nova asks Neutron with very long URLs.
limit_request_line = 0
worker_tmp_dir = "/dev/shm"
control_socket_disable = True


def post_fork(server, worker):
    """Several of the applications parse the command line as their own."""
    sys.argv = sys.argv[:1]


def post_worker_init(worker):
    """The application is imported now."""
    settle()
