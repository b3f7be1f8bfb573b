# SPDX-License-Identifier: Apache-2.0
"""An empty cloud, made once and copied for every later start.

The database syncs of five OpenStack services take most of a minute. Their
result depends on the versions, the addresses and the secret alone, so it
is kept under ``cache/`` and copied when a lab starts anew.
"""

from __future__ import annotations

from collections.abc import Callable
import concurrent.futures
import hashlib
import json
import pathlib
import shutil
import subprocess
import time

from tests.lab import identity
from tests.lab import network
from tests.lab import process
from tests.lab.rest import Cloud
from tests.lab.services import infra
from tests.lab.services import openstack
from tests.lab.services.base import CommandFailed
from tests.lab.services.base import run
from tests.lab.services.base import Service
from tests.lab.state import CHECKOUT
from tests.lab.state import State

PARTS = ("mysql", "keystone")
_SOURCES = (
    "tests/constraints.txt",
    "tests/lab/template.py",
    "tests/lab/identity.py",
    "tests/lab/services/infra.py",
)


def key(state: State) -> str:
    """What the template depends on, as a short name."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update((CHECKOUT / name).read_bytes())
    digest.update(state.secret.encode())
    digest.update(json.dumps([node.mgmt for node in state.plan.nodes
                              if node.dc]).encode())  # fmt: skip
    return digest.hexdigest()[:16]


def place(state: State) -> pathlib.Path:
    return state.dir / "cache" / f"cloud-{key(state)}"


def ready(state: State) -> bool:
    return place(state).is_dir()


def restore(state: State) -> None:
    """Copy the template to where the services read it."""
    for part in PARTS:
        target = state.data(part)
        shutil.rmtree(target, ignore_errors=True)
        # cp keeps owners and holes and is several times faster than shutil
        run(["cp", "-a", "--sparse=always", str(place(state) / part),
             str(target)])  # fmt: skip


def make(state: State, say: Callable[[str], None]) -> None:
    """Make the template; MariaDB must not be running."""
    for old in (state.dir / "cache").glob("cloud-*"):
        shutil.rmtree(old)
    infra.make_database(state)
    mariadb = infra.mariadb(state)
    mariadb.start(state)
    try:
        _wait(state, mariadb)
        infra.grant(state)
        _sync(state, say)
        keystone = next(
            one for one in openstack.services(state) if one.name == "keystone"
        )
        keystone.start(state)
        _wait(state, keystone)
        identity.create(Cloud(state))
        say("service users and endpoints")
    finally:
        # MariaDB needs its time to write everything down.
        process.end(
            [
                proc
                for proc in process.scan(str(state.dir))
                if proc.node == infra.CONTROL
            ],
            grace=60,
        )
    scratch = state.dir / "cache" / "making"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for part in PARTS:
        run(["cp", "-a", str(state.data(part)), str(scratch / part)])
    scratch.rename(place(state))


def _wait(state: State, service: Service) -> None:
    deadline = time.monotonic() + service.seconds
    while not service.answers(state):
        if time.monotonic() > deadline:
            raise CommandFailed(
                f"{service.label} did not come up within "
                f"{service.seconds:.0f} s, see {service.log(state)}"
            )
        time.sleep(0.1)


def _sync(state: State, say: Callable[[str], None]) -> None:
    """Run the syncs, two at a time: that many cores there are."""
    data = state.data("keystone")
    shutil.rmtree(data, ignore_errors=True)
    for part in ("fernet-keys", "credential-keys"):
        (data / part).mkdir(parents=True, mode=0o700)
    auth_url = openstack.control_url(state, "keystone") + "/v3"
    manage = {
        name: [
            state.bin(f"{name}-manage"),
            "--config-file",
            str(state.etc(name, f"{name}.conf")),
        ]
        for name in ("keystone", "nova", "placement")
    }
    keystone = manage["keystone"]
    nova = manage["nova"]
    chains = {
        "nova": [
            [*nova, "api_db", "sync"],
            [*nova, "cell_v2", "map_cell0", "--database_connection",
             infra.database_url(state, "nova_cell0")],
            [*nova, "cell_v2", "create_cell", "--name", "cell1"],
            [*nova, "db", "sync"],
        ],
        "keystone": [
            [*keystone, "fernet_setup", "--keystone-user", "root",
             "--keystone-group", "root"],
            [*keystone, "credential_setup", "--keystone-user", "root",
             "--keystone-group", "root"],
            [*keystone, "db_sync"],
            [*keystone, "bootstrap", "--bootstrap-password", state.secret,
             "--bootstrap-public-url", auth_url,
             "--bootstrap-internal-url", auth_url,
             "--bootstrap-admin-url", auth_url,
             "--bootstrap-region-id", openstack.REGION],
        ],
        "neutron": [
            [state.bin("neutron-db-manage"), "--config-file",
             str(state.etc("neutron", "neutron.conf")), "upgrade", "heads"],
        ],
        "glance": [
            [state.bin("glance-manage"), "--config-file",
             str(state.etc("glance", "glance-api.conf")), "db_sync"],
        ],
        "placement": [[*manage["placement"], "db", "sync"]],
    }  # fmt: skip

    def one(name: str) -> None:
        started = time.monotonic()
        for command in chains[name]:
            _manage(state, name, command)
        say(f"database of {name} ({time.monotonic() - started:.0f} s)")

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(one, chains))


def _manage(state: State, name: str, command: list[str]) -> None:
    env = {
        **process.clean_environment(),
        **process.tags(str(state.dir), infra.CONTROL, f"{name}-manage"),
    }
    words = network.prefix(state.namespace(infra.CONTROL))
    with open(state.log(f"{name}-manage"), "a") as log:
        done = subprocess.run(
            [*words, *command], env=env, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, timeout=300, cwd="/",
        )  # fmt: skip
    if done.returncode:
        raise CommandFailed(
            f"'{pathlib.Path(command[0]).name} {' '.join(command[3:])}' "
            f"failed, see {state.log(f'{name}-manage')}"
        )
