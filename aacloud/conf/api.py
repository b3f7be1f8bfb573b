# SPDX-License-Identifier: Apache-2.0
"""Options of the REST API."""

from oslo_config import cfg

GROUP = "aacloud_api"

OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        "bind_host",
        default="127.0.0.1",
        help="""
The address on which the ``aacloud-api`` command listens. A WSGI server that
runs ``aacloud.wsgi.api:application`` has its own setting.
""",
    ),
    cfg.PortOpt(
        "bind_port",
        default=8790,
        help="The port on which the ``aacloud-api`` command listens.",
    ),
    cfg.IntOpt(
        "threads",
        default=16,
        min=1,
        max=256,
        help="How many requests ``aacloud-api`` serves at a time.",
    ),
    cfg.IntOpt(
        "max_limit",
        default=1000,
        min=1,
        mutable=True,
        help="The most items that one answer of the API lists.",
    ),
    cfg.StrOpt(
        "response_validation",
        default="warn",
        choices=[
            ("warn", "log an answer that does not fit, and send it"),
            ("error", "answer 500 instead; for tests"),
            ("ignore", "do not look; saves a little time"),
        ],
        mutable=True,
        help="""
What happens when an answer of the API does not fit its own schema, which is a
mistake in aacloud.
""",
    ),
]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``."""
    conf.register_opts(OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    return [(GROUP, OPTS)]
