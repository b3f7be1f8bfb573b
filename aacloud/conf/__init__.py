# SPDX-License-Identifier: Apache-2.0
"""The options of aacloud, registered with oslo.config's global object.

Import :data:`CONF` and read ``CONF.aacloud_failover.tick``; only an entry
point calls :func:`parse_args`.
"""

from collections.abc import Sequence

from oslo_config import cfg
from oslo_log import log
from oslo_reports import opts as report_opts

from aacloud import version
from aacloud.conf import opts

PROJECT = "aacloud"

CONF: cfg.ConfigOpts = cfg.CONF


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register all sections of aacloud, logging and reports with ``conf``."""
    for section in opts.SECTIONS:
        section.register_opts(conf)
    log.register_options(conf)
    report_opts.set_defaults(conf)


def parse_args(
    argv: Sequence[str],
    prog: str,
    *,
    default_config_files: Sequence[str] | None = None,
    conf: cfg.ConfigOpts = CONF,
) -> None:
    """Read the configuration files and the command line.

    :param argv: the arguments, without the name of the program
    :param prog: the name of the program; ``<prog>.conf`` is read after
        ``aacloud.conf``, from the same directories
    :param default_config_files: the files to read when ``argv`` names none;
        None looks them up in the usual directories (/etc/aacloud first in
        production), an empty sequence reads none
    :param conf: the options to fill
    :raises cfg.Error: a file is missing, cannot be parsed, or holds a value
        that its option refuses
    """
    opts.set_defaults()
    conf(
        list(argv),
        project=PROJECT,
        prog=prog,
        version=version.version_string(),
        default_config_files=(
            None
            if default_config_files is None
            else list(default_config_files)
        ),
    )


register_opts(CONF)
