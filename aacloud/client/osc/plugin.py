# SPDX-License-Identifier: Apache-2.0
"""What the openstack command asks of a plugin."""

from __future__ import annotations

import argparse
from typing import Any

from osc_lib import utils

from aacloud.client import v1

DEFAULT_API_VERSION = "1"
API_VERSION_OPTION = "os_ha_api_version"
API_NAME = "ha"
API_VERSIONS = ("1",)


def make_client(instance: Any) -> v1.Client:
    """Return the client for one run of the openstack command.

    :param instance: osc-lib's client manager
    """
    # With an auth plugin that knows one endpoint and no catalog, there is
    # nothing to look up: the plugin itself names it.
    endpoint = None
    if instance.auth_ref is not None:
        endpoint = instance.get_endpoint_for_service_type(
            v1.SERVICE_TYPE,
            region_name=instance.region_name,
            interface=instance.interface,
        )
    else:
        instance.setup_auth()
    return v1.Client(
        instance.session,
        interface=instance.interface,
        region_name=instance.region_name,
        endpoint_override=endpoint,
    )


def build_option_parser(
    parser: argparse.ArgumentParser,
) -> argparse.ArgumentParser:
    """Add the global options of the plugin."""
    parser.add_argument(
        "--os-ha-api-version",
        metavar="<ha-api-version>",
        default=utils.env(
            "OS_HA_API_VERSION", default=DEFAULT_API_VERSION
        ),
        help=(
            "version of the aacloud API, default "
            f"{DEFAULT_API_VERSION} (Env: OS_HA_API_VERSION)"
        ),
    )
    return parser
