# SPDX-License-Identifier: Apache-2.0
"""The port for probes; they are plug-ins of namespace ``aacloud.probes``.

A plug-in is a callable that takes a :class:`ProbeContext` and returns a
:class:`Probe`. It runs in threads of its own, whatever it waits for (a disk
that hangs, say), and only adds observations and facts to the report. An
observation names the path it looked at as its ``network``; the three networks
have their names already, another path takes another name.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import dataclasses
from typing import Protocol

from oslo_config import cfg
from stevedore import named

from aacloud.conf import errors
from aacloud.core.observations import Observation
from aacloud.rpc import schema
from aacloud.rpc import signing

NAMESPACE = "aacloud.probes"


@dataclasses.dataclass(frozen=True, slots=True)
class ProbeContext:
    """What a probe is given.

    :ivar conf: all options; a mutable one may change, see
        :meth:`Probe.reload`
    :ivar host: name of this host
    :ivar boot_id: the life of this agent
    :ivar addresses: network to the own address on it
    :ivar keys: signs what it sends to peers
    :ivar clock: monotonic seconds
    """

    conf: cfg.ConfigOpts
    host: str
    boot_id: str
    addresses: Mapping[str, str]
    keys: signing.KeyRing
    clock: Callable[[], float]


@dataclasses.dataclass(frozen=True, slots=True)
class Findings:
    """What a probe knows now.

    :ivar observations: of peers, with this host as observer
    :ivar facts: about this host, short texts
    """

    observations: tuple[Observation, ...] = ()
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Probe(Protocol):
    """A probe. No method may block; :meth:`start` starts the threads."""

    def start(self) -> None:
        """Begin to probe."""

    def stop(self) -> None:
        """End, within a second."""

    def retarget(self, assignment: schema.Assignment) -> None:
        """Look at these peers from now on; a local probe ignores it."""

    def reload(self) -> None:
        """Take the mutable options anew."""

    def collect(self) -> Findings:
        """Return what is known now; called once for each report."""

    def health(self) -> tuple[bool, str]:
        """Return whether it works, and a sentence."""


def load(
    names: Sequence[str], context: ProbeContext
) -> dict[str, Probe]:
    """Load the probes with these names, in this order.

    :raises errors.ConfigurationError: one is not installed, or does not load
    """
    failed: list[str] = []

    def note(_manager: object, entry: object, error: BaseException) -> None:
        failed.append(f"{entry}: {error}")

    manager: named.NamedExtensionManager[Probe]
    manager = named.NamedExtensionManager(
        NAMESPACE,
        list(dict.fromkeys(names)),
        invoke_on_load=True,
        invoke_args=(context,),
        name_order=True,
        on_load_failure_callback=note,
        on_missing_entrypoints_callback=None,
    )
    loaded = {
        extension.name: extension.obj
        for extension in manager
        if extension.obj is not None
    }
    missing = [name for name in names if name not in loaded]
    if missing:
        known = ", ".join(sorted(manager.entry_points_names()))
        raise errors.ConfigurationError([
            f"[aacloud_agent] probes: {', '.join(missing)} cannot be used"
            + (f" ({'; '.join(failed)})" if failed else "")
            + f"; installed are: {known or 'none'}"
        ])
    return loaded
