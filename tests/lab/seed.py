# SPDX-License-Identifier: Apache-2.0
"""Flavors and the image of the lab's cloud."""

from __future__ import annotations

from tests.lab.rest import Cloud

IMAGE = "lab"
IMAGE_BYTES = 1024 * 1024
#: name -> extra specs
FLAVORS = {
    "lab.tiny": {},
    "lab.local": {"aacloud:instance_disks": "local"},
}


def create(cloud: Cloud) -> None:
    """Make what is missing of them."""
    have = {
        flavor["name"]
        for flavor in cloud.get("nova-api", "/flavors")["flavors"]
    }
    for name, specs in FLAVORS.items():
        if name in have:
            continue
        made = cloud.post(
            "nova-api",
            "/flavors",
            {
                "flavor": {
                    "id": name,
                    "name": name,
                    "vcpus": 1,
                    "ram": 64,
                    "disk": 1,
                }
            },
        )["flavor"]
        if specs:
            cloud.post(
                "nova-api",
                f"/flavors/{made['id']}/os-extra_specs",
                {"extra_specs": specs},
            )
    _image(cloud)


def _image(cloud: Cloud) -> None:
    images = cloud.get("glance", f"/images?name={IMAGE}")["images"]
    if any(image["status"] == "active" for image in images):
        return
    for image in images:
        cloud.delete("glance", f"/images/{image['id']}")
    made = cloud.post(
        "glance",
        "/images",
        {
            "name": IMAGE,
            "disk_format": "raw",
            "container_format": "bare",
            "visibility": "public",
        },
    )
    cloud.put(
        "glance",
        f"/images/{made['id']}/file",
        bytes(IMAGE_BYTES),
        headers={"Content-Type": "application/octet-stream"},
    )
