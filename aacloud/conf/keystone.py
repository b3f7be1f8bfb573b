# SPDX-License-Identifier: Apache-2.0
"""How aacloud's daemons log in to the cloud."""

import copy

from keystoneauth1 import loading
from oslo_config import cfg

GROUP = "aacloud_keystone"

#: Every call to the cloud ends, one way or the other, in this many seconds.
TIMEOUT_S = 15.0

#: The daemons live beside the cloud's own services.
INTERFACES = ["internal", "public"]


def _with_defaults(options: list[cfg.Opt]) -> list[cfg.Opt]:
    """Give keystoneauth1's options the defaults of aacloud."""
    options = copy.deepcopy(options)
    for option in options:
        if option.name == "timeout":
            option.default = TIMEOUT_S
        elif option.name == "valid-interfaces":
            option.default = INTERFACES
    return options


OPTS: list[cfg.Opt] = _with_defaults(
    [
        *loading.get_session_conf_options(),
        *loading.get_adapter_conf_options(include_deprecated=False),
    ]
)


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register this section with ``conf``.

    The options of the chosen auth plug-in are registered by keystoneauth1
    when the plug-in is loaded.
    """
    conf.register_opts(OPTS, group=GROUP)
    loading.register_auth_conf_options(conf, GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the section for the sample generator."""
    options = [
        *loading.get_auth_common_conf_options(),
        *loading.get_auth_plugin_conf_options("password"),
        *OPTS,
    ]
    unique = {option.dest: option for option in options}
    return [(GROUP, sorted(unique.values(), key=lambda o: str(o.name)))]
