# SPDX-License-Identifier: Apache-2.0
"""The API for a WSGI server: ``aacloud.wsgi.api:application``.

The command line belongs to the server and is not read. Configuration comes
from the environment, or from the usual places:

``OS_AACLOUD_CONFIG_FILES``
    files to read, separated by semicolons, the last one wins;
``OS_AACLOUD_CONFIG_DIR``
    a directory whose ``*.conf`` files are read after them;
neither
    ``/etc/aacloud/aacloud.conf`` and ``/etc/aacloud/aacloud-api.conf``, as
    far as they exist, and what else oslo.config finds for these names.
"""

from collections.abc import Mapping
import os
from wsgiref import types as wsgi

from oslo_log import log

from aacloud import conf as aacloud_conf
from aacloud.api import app

PROG = "aacloud-api"
FILES = "OS_AACLOUD_CONFIG_FILES"
DIRECTORY = "OS_AACLOUD_CONFIG_DIR"

LOG = log.getLogger(__name__)


def arguments(environ: Mapping[str, str]) -> list[str]:
    """Return what stands in for a command line.

    :param environ: the environment of the process
    """
    files = [
        name.strip()
        for name in environ.get(FILES, "").split(";")
        if name.strip()
    ]
    found = [f"--config-file={name}" for name in files]
    directory = environ.get(DIRECTORY, "").strip()
    if directory:
        found.append(f"--config-dir={directory}")
    return found


def init_application(
    environ: Mapping[str, str] = os.environ,
) -> wsgi.WSGIApplication:
    """Read the configuration and return the application.

    :raises oslo_config.cfg.Error: a file is missing or wrong
    """
    conf = aacloud_conf.CONF
    aacloud_conf.parse_args(arguments(environ), PROG)
    log.setup(conf, "aacloud")
    return app.make_app(conf)


application = init_application()
