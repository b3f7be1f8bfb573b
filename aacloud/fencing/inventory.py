# SPDX-License-Identifier: Apache-2.0
"""The fencing inventory: which host is fenced how.

A YAML file::

    hosts:
      dc1-r1-h1:
        driver: redfish
        address: https://192.0.2.11
        username: fence
        password: secret
        options: {verify: /etc/ssl/bmc-ca.pem}
      dc1-r1-h2:              # several legs, tried at the same time
        - {driver: redfish, address: https://192.0.2.12, ...}
        - {driver: ipmi, address: 192.0.2.12, ...}
"""

from collections.abc import Collection
from collections.abc import Mapping
import dataclasses
import pathlib
import types

import yaml

from aacloud.fencing import base

_KEYS = frozenset({"driver", "address", "username", "password", "options"})


class InventoryError(Exception):
    """The inventory cannot be used; ``problems`` lists everything wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__(
            "the fencing inventory has "
            f"{len(problems)} problem{'s' if len(problems) > 1 else ''}: "
            + "; ".join(problems)
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Inventory:
    """The legs of each host."""

    targets: Mapping[str, tuple[base.FenceTarget, ...]]

    def legs(self, host: str) -> tuple[base.FenceTarget, ...]:
        """Return how this host is fenced; empty when it is not listed."""
        return self.targets.get(host, ())

    def missing(self, hosts: Collection[str]) -> tuple[str, ...]:
        """Return those of ``hosts`` that are not listed: unprotected ones."""
        return tuple(sorted(set(hosts) - set(self.targets)))


class _Loader(yaml.SafeLoader):
    """A safe loader that refuses a key that stands twice."""


def _no_duplicates(
    loader: _Loader, node: yaml.MappingNode, deep: bool = False
) -> dict[object, object]:
    seen: set[object] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            continue
        if key in seen:
            raise yaml.constructor.ConstructorError(
                "while reading a mapping",
                node.start_mark,
                f"the key {key!r} stands twice",
                key_node.start_mark,
            )
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[object, object]:
    loader.flatten_mapping(node)
    return _no_duplicates(loader, node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)


def load(path: str, drivers: Mapping[str, base.FenceDriver]) -> Inventory:
    """Read and check the file; raise InventoryError with every problem."""
    try:
        text = pathlib.Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(
            (f"{path} cannot be read: {_short(error)}",)
        ) from error
    try:
        # A subclass of SafeLoader: it makes plain objects only.
        document = yaml.load(text, Loader=_Loader)  # noqa: S506
    except yaml.YAMLError as error:
        raise InventoryError(
            (f"{path} is not YAML: {' '.join(str(error).split())}",)
        ) from error
    try:
        return parse(document, drivers)
    except InventoryError as error:
        raise InventoryError(
            tuple(f"{path}: {problem}" for problem in error.problems)
        ) from None


def parse(
    document: object, drivers: Mapping[str, base.FenceDriver]
) -> Inventory:
    """Check a document that was read; raise InventoryError."""
    if not isinstance(document, Mapping):
        raise InventoryError(("the file holds no mapping with a key hosts",))
    problems = [
        f"unknown key {key!r}: only hosts is known"
        for key in document
        if key != "hosts"
    ]
    hosts = document.get("hosts")
    targets: dict[str, tuple[base.FenceTarget, ...]] = {}
    if not isinstance(hosts, Mapping):
        problems.append("hosts is missing or no mapping of host names")
    else:
        for host, entry in hosts.items():
            if not isinstance(host, str) or not host.strip():
                problems.append(f"hosts: {host!r} is not a host name")
                continue
            legs = entry if isinstance(entry, list) else [entry]
            if not legs:
                problems.append(f"hosts.{host}: the list of legs is empty")
            made = []
            for number, leg in enumerate(legs):
                place = f"hosts.{host}"
                if isinstance(entry, list):
                    place += f"[{number}]"
                target = _target(host, leg, place, drivers, problems)
                if target is not None:
                    made.append(target)
            targets[host] = tuple(made)
    problems += _shared(targets)
    if problems:
        raise InventoryError(tuple(problems))
    return Inventory(types.MappingProxyType(targets))


def _shared(
    targets: Mapping[str, tuple[base.FenceTarget, ...]],
) -> list[str]:
    """One controller for two hosts: one of them would be proved off by the
    other's power state."""
    owners: dict[tuple[str, str, str], str] = {}
    problems = []
    for host, legs in targets.items():
        for leg in legs:
            if not leg.address:
                continue
            key = (
                leg.driver,
                leg.address.rstrip("/").lower(),
                str(leg.options.get("system_id", "")),
            )
            owner = owners.setdefault(key, host)
            if owner != host:
                problems.append(
                    f"hosts.{host}: {leg.driver} at {leg.address} is the"
                    f" controller of host {owner} already"
                )
    return problems


def _target(
    host: str,
    leg: object,
    place: str,
    drivers: Mapping[str, base.FenceDriver],
    problems: list[str],
) -> base.FenceTarget | None:
    if not isinstance(leg, Mapping):
        problems.append(f"{place}: not a mapping with a driver")
        return None
    found = [
        f"unknown key {key!r}; known: {', '.join(sorted(_KEYS))}"
        for key in leg
        if key not in _KEYS
    ]
    texts = {}
    for key in ("driver", "address", "username", "password"):
        value = leg.get(key, "")
        if not isinstance(value, str):
            # A number would lose its leading zeros, in a password above all.
            found.append(f"{key} is not a string: put it in quotes")
            value = ""
        texts[key] = value
    options = leg.get("options") or {}
    if not isinstance(options, Mapping) or not all(
        isinstance(key, str) for key in options
    ):
        found.append("options is no mapping")
        options = {}
    target = base.FenceTarget(
        host=host, options=types.MappingProxyType(dict(options)), **texts
    )
    driver = drivers.get(target.driver)
    if not target.driver:
        found.append(
            f"driver is missing; known: {', '.join(sorted(drivers))}"
        )
    elif driver is None:
        found.append(
            f"unknown driver {target.driver!r}; known:"
            f" {', '.join(sorted(drivers))}"
        )
    else:
        found.extend(driver.validate(target))
    problems.extend(f"{place}: {text}" for text in found)
    return target


def _short(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error)
