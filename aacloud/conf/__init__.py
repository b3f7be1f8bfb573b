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
from aacloud.conf import checks
from aacloud.conf import errors
from aacloud.conf import opts

PROJECT = "aacloud"

CONF: cfg.ConfigOpts = cfg.CONF

ConfigurationError = errors.ConfigurationError


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register all sections of aacloud, logging and reports with ``conf``."""
    for section in opts.SECTIONS:
        section.register_opts(conf)
    try:
        log.register_options(conf)
    except cfg.ArgsAlreadyParsedError:
        # Inside another service (nova-scheduler), whose options these are.
        return
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
        None looks them up in the usual directories (/etc/aacloud in
        production), an empty sequence reads none
    :param conf: the options to fill
    :raises ConfigurationError: a file is missing or cannot be parsed, or
        options hold values that they refuse; every one of these is named
    """
    if default_config_files is None:
        _read(conf, argv, prog, None, None)
    else:
        _read(conf, argv, prog, default_config_files, ())


def reload(conf: cfg.ConfigOpts = CONF) -> tuple[str, ...]:
    """Read the files again and take over what may change while running.

    Nothing changes when the new files are wrong. oslo.config logs each
    option that changed, and each change that waits for a restart.

    :return: the options that changed, as ``group.option``
    :raises ConfigurationError: the new files are wrong; the old values stay
    """
    candidate = cfg.ConfigOpts()
    register_opts(candidate)
    _read(candidate, (), conf.prog, conf.config_file, conf.config_dir)
    contradictions = checks.problems(candidate)
    if contradictions:
        raise ConfigurationError(contradictions)
    try:
        changed = conf.mutate_config_files()
    except cfg.Error as exc:
        raise ConfigurationError([str(exc)]) from exc
    return tuple(
        sorted(f"{group or 'DEFAULT'}.{name}" for group, name in changed)
    )


def _read(
    conf: cfg.ConfigOpts,
    argv: Sequence[str],
    prog: str,
    files: Sequence[str] | None,
    dirs: Sequence[str] | None,
) -> None:
    opts.set_defaults()
    try:
        conf(
            list(argv),
            project=PROJECT,
            prog=prog,
            version=version.version_string(),
            default_config_files=None if files is None else list(files),
            default_config_dirs=None if dirs is None else list(dirs),
        )
    except cfg.Error as exc:
        raise ConfigurationError([str(exc)]) from exc
    refused = checks.refused_values(conf, opts.list_opts())
    if refused:
        raise ConfigurationError(refused)


register_opts(CONF)
