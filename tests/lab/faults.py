# SPDX-License-Identifier: Apache-2.0
"""Faults that the lab can make, and how each is mended.

A fault that lasts is written down as a file, ``run/faults/NAME.ARGUMENT``,
so it can be listed and mended by another program than the one that made it.
"""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import pathlib
import signal
import time

from tests.lab import crashes
from tests.lab import hosts
from tests.lab import network
from tests.lab import process
from tests.lab.plan import DCS
from tests.lab.plan import NETWORK_NAMES
from tests.lab.plan import NETWORKS
from tests.lab.plan import PlanError
from tests.lab.plan import RACKS
from tests.lab.services import infra
from tests.lab.services.base import Service
from tests.lab.state import State


class FaultError(ValueError):
    """The fault cannot be made as asked; the text says what can."""


@dataclasses.dataclass(frozen=True)
class Fault:
    """One kind of fault.

    :ivar make: given the state and the arguments
    :ivar mend: the same, backwards; None for a fault that is over at once
    :ivar subject: turns the arguments into the name the fault is kept by
    """

    name: str
    arguments: tuple[str, ...]
    text: str
    make: Callable[..., None]
    mend: Callable[..., None] | None = None
    subject: Callable[..., str] = lambda state, *arguments: ".".join(
        arguments
    )


def _nothing(state: State, *arguments: str) -> None:
    """The file of the fault is all that it takes."""


# -- hosts ---------------------------------------------------------------
def _host(state: State, host: str) -> str:
    return state.plan.host(host).name


def _revive(state: State, host: str) -> None:
    """Switch a host off and on again, as one does with a crashed one."""
    hosts.power_off(state, host)
    hosts.power_on(state, host)


def _kill_on(name: str) -> Callable[..., None]:
    def kill(state: State, host: str) -> None:
        procs = process.by_service(process.scan(str(state.dir)))
        process.kill(procs[state.plan.host(host).name, name])

    return kill


def _start_on(name: str) -> Callable[..., None]:
    def start(state: State, host: str) -> None:
        if hosts.powered(state, host):
            for service in hosts.services(state, host):
                if service.name == name:
                    _start(state, service)

    return start


def _start(state: State, service: Service) -> None:
    running = process.by_service(process.scan(str(state.dir)))
    if not running[service.key]:
        service.start(state)


# -- cables --------------------------------------------------------------
def _link_name(state: State, node: str, net: str) -> str:
    if state.plan.loopback:
        raise FaultError(
            "there are no cables in loopback mode: it needs network "
            "namespaces to cut one"
        )
    net = NETWORK_NAMES.get(net, net)
    try:
        return state.plan.link(f"{state.plan.node(node).name}:{net}").name
    except PlanError:
        known = [
            link.name.partition(":")[2]
            for link in state.plan.links
            if link.name.partition(":")[0] == node
        ]
        raise FaultError(
            f"{node} has no link {net!r}; it has {', '.join(known)}"
        ) from None


def _rack_link(state: State, dc: str, rack: str, net: str) -> str:
    net = NETWORK_NAMES.get(net, net)
    rack = rack.removeprefix(f"{dc}-")
    if dc not in DCS or rack not in RACKS or net not in NETWORKS:
        raise FaultError(
            f"no uplink {dc} {rack} {net}; DCs are {', '.join(DCS)}, racks "
            f"{', '.join(RACKS)}, networks {', '.join(NETWORKS)}"
        )
    _link_name(state, "dc1-ctl", "mgmt")  # refuses in loopback mode
    return f"{dc}-{rack}:{net}"


def _inter_dc(state: State) -> str:
    _link_name(state, "dc1-ctl", "mgmt")
    return "inter-dc"


def _cut(state: State, *arguments: str) -> None:
    network.cut(state.plan.link(_subject_of(state, arguments)))


def _mend_link(state: State, *arguments: str) -> None:
    network.mend(
        state.plan, state.plan.link(_subject_of(state, arguments))
    )


def _subject_of(state: State, arguments: tuple[str, ...]) -> str:
    if not arguments:
        return _inter_dc(state)
    if len(arguments) == 1:  # as it was written down
        return arguments[0]
    if len(arguments) == 2:
        return _link_name(state, *arguments)
    return _rack_link(state, *arguments)


# -- services ------------------------------------------------------------
def _of(
    state: State, dc: str, engine: crashes.Engine = crashes.FAILOVER
) -> Service:
    if dc not in DCS:
        raise FaultError(
            f"no engine in {dc!r}; there is one in each of {', '.join(DCS)}"
        )
    return engine.make(state, state.plan.node(f"{dc}-ha"))


def _engine_procs(state: State, dc: str) -> list[process.Proc]:
    return _procs_of(state, _of(state, dc))


def _procs_of(state: State, service: Service) -> list[process.Proc]:
    return process.by_service(process.scan(str(state.dir)))[service.key]


def _engine_kill(engine: crashes.Engine) -> Callable[..., None]:
    def kill(state: State, dc: str) -> None:
        process.kill(_procs_of(state, _of(state, dc, engine)))

    return kill


def _engine_start(engine: crashes.Engine) -> Callable[..., None]:
    def start(state: State, dc: str) -> None:
        _start(state, _of(state, dc, engine))

    return start


def _engine_pause(state: State, dc: str) -> None:
    process.send(_engine_procs(state, dc), signal.SIGSTOP)


def _engine_resume(state: State, dc: str) -> None:
    process.send(_engine_procs(state, dc), signal.SIGCONT)


def _engine_crash(engine: crashes.Engine) -> Callable[..., None]:
    def crash(state: State, dc: str, point: str) -> None:
        try:
            crashes.arm(state, dc, point, engine)
        except crashes.PointError as error:
            raise FaultError(str(error)) from error

    return crash


def _engine_plain(engine: crashes.Engine) -> Callable[..., None]:
    def plain(state: State, dc: str, *point: str) -> None:
        crashes.disarm(state, dc, engine)

    return plain


def _dc(state: State, dc: str, *point: str) -> str:
    _of(state, dc)
    return dc


def _restart(make: Callable[[State], Service]) -> Callable[..., None]:
    def restart(state: State) -> None:
        service = make(state)
        procs = process.by_service(process.scan(str(state.dir)))
        process.end(procs[service.key], grace=30)
        service.start(state)
        deadline = time.monotonic() + service.seconds
        while not service.answers(state):
            if time.monotonic() > deadline:
                raise FaultError(
                    f"{service.label} did not come back within "
                    f"{service.seconds:.0f} s, see {service.log(state)}"
                )
            time.sleep(0.2)

    return restart


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("host-crash", ("HOST",),
              "everything on the host dies at once; its power stays on",
              hosts.crash, _revive, _host),
        Fault("compute-kill", ("HOST",),
              "nova-compute dies, its guests run on",
              _kill_on("nova-compute"), _start_on("nova-compute"), _host),
        Fault("agent-kill", ("HOST",), "the aacloud agent dies",
              _kill_on("aacloud-agent"), _start_on("aacloud-agent"), _host),
        Fault("link-cut", ("NODE", "NETWORK"),
              "unplug a node from a network (the witness: from a DC)",
              _cut, _mend_link, _link_name),
        Fault("rack-cut", ("DC", "RACK", "NETWORK"),
              "unplug a rack from the fabric of its DC",
              _cut, _mend_link, _rack_link),
        Fault("inter-dc-cut", (), "unplug the DCs from each other",
              _cut, _mend_link, _inter_dc),
        Fault("bmc-dead", ("HOST",),
              "the BMC takes requests and never answers",
              _nothing, _nothing, _host),
        Fault("bmc-lying", ("HOST",),
              "the BMC says Off and does nothing",
              _nothing, _nothing, _host),
        Fault("rabbitmq-restart", (), "stop and start RabbitMQ",
              _restart(infra.rabbitmq)),
        Fault("mariadb-restart", (), "stop and start MariaDB",
              _restart(infra.mariadb)),
        Fault("nova-api-500", (), "Nova's API answers 500 to everything",
              _nothing, _nothing),
        Fault("engine-kill", ("DC",), "the failover engine of a DC dies",
              _engine_kill(crashes.FAILOVER), _engine_start(crashes.FAILOVER),
              _dc),
        Fault("engine-pause", ("DC",),
              "the failover engine of a DC stops without dying",
              _engine_pause, _engine_resume, _dc),
        Fault("groups-kill", ("DC",), "the group engine of a DC dies",
              _engine_kill(crashes.GROUPS), _engine_start(crashes.GROUPS),
              _dc),
        *(Fault(engine.fault, ("DC", "POINT"),
                f"{engine.name} of a DC dies as soon as it writes a state: "
                "before:STATE or after:STATE",
                _engine_crash(engine), _engine_plain(engine), _dc)
          for engine in crashes.ENGINES),
    )
}  # fmt: skip
#: Other words for mending.
MENDS = {
    "host-restore": "host-crash",
    "compute-start": "compute-kill",
    "agent-start": "agent-kill",
    "link-restore": "link-cut",
    "rack-restore": "rack-cut",
    "inter-dc-restore": "inter-dc-cut",
    "engine-start": "engine-kill",
    "engine-resume": "engine-pause",
    "groups-start": "groups-kill",
}


def _find(name: str, arguments: tuple[str, ...]) -> Fault:
    fault = FAULTS.get(name)
    if fault is None:
        raise FaultError(
            f"no fault named {name!r}; 'fault list' shows them all"
        )
    if len(arguments) != len(fault.arguments):
        usage = " ".join((name, *fault.arguments))
        raise FaultError(f"use: fault {usage}")
    return fault


def make(state: State, name: str, *arguments: str) -> None:
    """Make a fault.

    :raises FaultError: no such fault, or not with these arguments.
    :raises PlanError: it names something the lab does not have.
    """
    if name in MENDS:
        mend(state, MENDS[name], *arguments)
        return
    if name == "bmc-ok":
        for one in ("bmc-dead", "bmc-lying"):
            mend(state, one, *arguments)
        return
    if name == "nova-api-500" and arguments in (("on",), ("off",)):
        if arguments == ("off",):
            mend(state, name)
            return
        arguments = ()
    fault = _find(name, arguments)
    file = _file(state, fault, arguments)
    if fault.mend is not None:
        file.touch()
    try:
        fault.make(state, *arguments)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def mend(state: State, name: str, *arguments: str) -> None:
    """Mend a fault; one that is not there is no error."""
    fault = _find(name, arguments)
    file = _file(state, fault, arguments)
    if fault.mend is None:
        raise FaultError(f"{name} is over by itself")
    # First the file: power_on() looks which cables are to stay cut.
    file.unlink(missing_ok=True)
    fault.mend(state, *arguments)


def _file(
    state: State, fault: Fault, arguments: tuple[str, ...]
) -> pathlib.Path:
    subject = fault.subject(state, *arguments)
    return state.fault(f"{fault.name}.{subject}" if subject else fault.name)


def active(state: State) -> list[str]:
    """The faults that last, as ``NAME SUBJECT``."""
    return sorted(
        entry.name.replace(".", " ", 1)
        for entry in state.run("faults").iterdir()
    )


def mend_all(state: State) -> list[str]:
    """Mend every fault and switch every host on; what was mended."""
    found = active(state)
    for line in found:
        name, _, subject = line.partition(" ")
        fault = FAULTS[name]
        state.fault(line.replace(" ", ".", 1)).unlink(missing_ok=True)
        if fault.arguments == ():
            subject = ""
        if fault.mend is not None:
            fault.mend(state, *([subject] if subject else []))
    for node in state.plan.hosts:
        if not hosts.powered(state, node.name):
            hosts.power_on(state, node.name)
            found.append(f"power off {node.name}")
    return found


def missing(state: State) -> list[str]:
    """The faults that cannot be made without network namespaces."""
    if not state.plan.loopback:
        return []
    return ["link-cut", "rack-cut", "inter-dc-cut"]
