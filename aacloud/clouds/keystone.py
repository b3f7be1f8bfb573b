# SPDX-License-Identifier: Apache-2.0
"""The session with Keystone from which all calls to the cloud are made."""

from __future__ import annotations

from keystoneauth1 import loading
from keystoneauth1 import session as ks_session
from oslo_config import cfg
import requests

from aacloud.conf import keystone as keystone_conf

POOL = 64
"""Connections kept open to each service: one for each thread that moves."""


def session_from_conf(conf: cfg.ConfigOpts) -> ks_session.Session:
    """Make the session that ``[aacloud_keystone]`` describes.

    No request is made yet. Raises what keystoneauth1 raises for options that
    are missing or contradict each other.
    """
    auth = loading.load_auth_from_conf_options(conf, keystone_conf.GROUP)
    return loading.load_session_from_conf_options(
        conf, keystone_conf.GROUP, auth=auth, session=pooled()
    )


def pooled() -> requests.Session:
    """Return the HTTP session of many threads: keystoneauth1 keeps ten."""
    http = requests.Session()
    for scheme in ("http://", "https://"):
        http.mount(
            scheme,
            ks_session.TCPKeepAliveAdapter(
                pool_connections=16, pool_maxsize=POOL
            ),
        )
    return http
