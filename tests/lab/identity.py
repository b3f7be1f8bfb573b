# SPDX-License-Identifier: Apache-2.0
"""Users, roles and the catalog of the lab's cloud."""

from __future__ import annotations

from tests.lab.rest import Cloud

#: service user -> (service type, API, path of the endpoint)
CATALOG = {
    "nova": ("compute", "nova-api", "/v2.1"),
    "placement": ("placement", "placement", ""),
    "glance": ("image", "glance", ""),
    "neutron": ("network", "neutron", ""),
    "aacloud": ("aacloud", "aacloud-api", ""),
}
REGION = "RegionOne"


def create(cloud: Cloud) -> None:
    """Make them in a Keystone that was just bootstrapped."""
    roles = {
        role["name"]: role["id"]
        for role in cloud.get("keystone", "/roles")["roles"]
    }
    for name in ("service",):
        if name not in roles:
            made = cloud.post("keystone", "/roles", {"role": {"name": name}})
            roles[name] = made["role"]["id"]
    project = cloud.post(
        "keystone",
        "/projects",
        {"project": {"name": "service", "domain_id": "default"}},
    )["project"]["id"]
    for user, (kind, api, path) in CATALOG.items():
        made = cloud.post(
            "keystone",
            "/users",
            {
                "user": {
                    "name": user,
                    "domain_id": "default",
                    "password": cloud.state.secret,
                }
            },
        )["user"]["id"]
        for role in ("admin", "service"):
            cloud.put(
                "keystone",
                f"/projects/{project}/users/{made}/roles/{roles[role]}",
            )
        service = cloud.post(
            "keystone",
            "/services",
            {"service": {"name": user, "type": kind}},
        )["service"]["id"]
        for interface in ("public", "internal", "admin"):
            cloud.post(
                "keystone",
                "/endpoints",
                {
                    "endpoint": {
                        "service_id": service,
                        "interface": interface,
                        "region": REGION,
                        "url": cloud.url(api) + path,
                    }
                },
            )
