# SPDX-License-Identifier: Apache-2.0
"""Servers in the lab's cloud: boot them on chosen hosts, look, delete."""

from __future__ import annotations

from collections.abc import Sequence
import concurrent.futures
from typing import Any

from tests.lab.control import Lab
from tests.lab.rest import RestError
from tests.lab.seed import IMAGE

#: Nova answers more slowly to more at a time on a small machine.
AT_ONCE = 4
BOOT_SECONDS = 240


class BootFailed(RuntimeError):
    """A server did not become ACTIVE; the text says what Nova says."""


def listed(lab: Lab, **filters: str) -> dict[str, dict[str, Any]]:
    """Server id -> the server as an admin sees it, of all projects."""
    query = "".join(f"&{key}={value}" for key, value in filters.items())
    answer = lab.cloud.get(
        "nova-api", f"/servers/detail?all_tenants=1&limit=1000{query}")
    return {server["id"]: server for server in answer["servers"]}


def host_of(server: dict[str, Any]) -> str:
    return server["OS-EXT-SRV-ATTR:host"] or ""


def boot(
    lab: Lab,
    placed: Sequence[tuple[str, str]],
    *,
    flavor: str = "lab.tiny",
    metadata: dict[str, str] | None = None,
) -> dict[str, str]:
    """Boot a server for each (name, host), and wait until all are ACTIVE.

    :returns: name -> server id
    :raises BootFailed: one is in ERROR
    """
    image = lab.cloud.get("glance", f"/images?name={IMAGE}")["images"][0]["id"]

    def one(name: str, host: str) -> str:
        return lab.cloud.post("nova-api", "/servers", {"server": {
            "name": name, "imageRef": image, "flavorRef": flavor,
            "networks": "none", "host": host, "metadata": metadata or {},
        }})["server"]["id"]

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        ids = list(pool.map(lambda pair: one(*pair), placed))
    again = set(range(len(ids)))

    def all_active() -> bool:
        now = listed(lab)
        for number, i in enumerate(ids):
            if i not in now or now[i]["status"] != "ERROR":
                continue
            why = now[i].get("fault", {}).get("message", "ERROR")
            if number not in again:
                raise BootFailed(f"{now[i]['name']}: {why}")
            # A scheduler that has just started may not know a host yet.
            again.remove(number)
            print(f"{now[i]['name']} is booted once more: {why}", flush=True)
            lab.cloud.delete("nova-api", f"/servers/{i}")
            ids[number] = one(*placed[number])
        return all(i in now and now[i]["status"] == "ACTIVE" for i in ids)

    lab.wait(f"{len(ids)} servers ACTIVE", all_active, BOOT_SECONDS, 1.0)
    return {name: i for (name, _host), i in zip(placed, ids, strict=True)}


def delete(lab: Lab, *, prefix: str = "") -> int:
    """Delete the servers whose name begins so, and wait; how many."""
    doomed = [i for i, server in listed(lab).items()
              if server["name"].startswith(prefix)]
    for server in doomed:
        try:
            lab.cloud.delete("nova-api", f"/servers/{server}")
        except RestError as error:
            if error.status != 404:
                raise
    lab.wait(
        f"{len(doomed)} servers deleted",
        lambda: not set(doomed) & set(listed(lab)), BOOT_SECONDS, 0.5)
    return len(doomed)


def evacuations(lab: Lab, server: str) -> list[dict[str, Any]]:
    """All evacuations of a server that Nova knows of."""
    answer = lab.cloud.get(
        "nova-api",
        f"/os-migrations?migration_type=evacuation&instance_uuid={server}")
    return answer["migrations"]
