# SPDX-License-Identifier: Apache-2.0
"""The plan of the lab: nodes, names, addresses and cables.

Pure: nothing here looks at the machine. The same plan is used with network
namespaces and without them (loopback mode); only the first octet of the
addresses and the list of cables differ.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib

NETWORKS = ("mgmt", "tenant", "storage")
#: What aacloud calls the networks whose interfaces are named as above.
NETWORK_NAMES = {
    "management": "mgmt",
    "tenant": "tenant",
    "storage": "storage",
}
DCS = ("dc1", "dc2")
RACKS = ("r1", "r2")
WITNESS = "witness"
OOB = "oob"
DEFAULT_PREFIX = "aalab-"
BMC_PORT = 8000
PORTS = {
    "mariadb": 3306,
    "rabbitmq": 5672,
    "etcd": 2379,
    "etcd-peer": 2380,
    "keystone": 5000,
    "placement": 8778,
    "glance": 9292,
    "neutron": 9696,
    "nova-api": 8774,
    "aacloud-api": 8790,
    "aacloud-health": 8791,
    "aacloud-groups-health": 8792,
    "bmc": BMC_PORT,
}


class PlanError(ValueError):
    """The wanted lab cannot be planned; the text says why."""


class Kind(str, enum.Enum):
    """What a node is for."""

    HOST = "host"
    CONTROL = "control"
    ENGINE = "engine"
    WITNESS = "witness"
    OOB = "oob"


@dataclasses.dataclass(frozen=True)
class Node:
    """One machine of the lab; it lives in a network namespace.

    :ivar addresses: interface name -> IPv4 address
    """

    name: str
    kind: Kind
    dc: str | None
    rack: str | None
    addresses: dict[str, str]

    @property
    def mgmt(self) -> str:
        return self.addresses["mgmt"]


@dataclasses.dataclass(frozen=True)
class Port:
    """One end of a cable; ``bridge`` is what it is plugged into there."""

    namespace: str
    interface: str
    bridge: str | None = None
    address: str | None = None


@dataclasses.dataclass(frozen=True)
class Link:
    """A cable (veth pair) that can be cut.

    ``far`` is the end away from the machine that feels the cut: taking it
    down leaves the near end with its addresses but without a carrier.
    """

    name: str
    near: Port
    far: Port


@dataclasses.dataclass(frozen=True)
class LabPlan:
    """How big the lab is and where it lives.

    :ivar prefix: what the names of its namespaces begin with; labs with
        different ones can be up at the same time
    """

    hosts_per_rack: int = 2
    loopback: bool = False
    prefix: str = DEFAULT_PREFIX

    def __post_init__(self) -> None:
        if not 1 <= self.hosts_per_rack <= 20:
            raise PlanError(
                "hosts per rack must be 1 to 20, not "
                f"{self.hosts_per_rack}: addresses are planned for that many"
            )

    # -- addresses -------------------------------------------------------
    @property
    def _first(self) -> int:
        return 127 if self.loopback else 10

    def subnet(self, dc: str, network: str) -> str:
        """The first three octets of a network of a data centre."""
        second = 21 + DCS.index(dc)
        return f"{self._first}.{second}.{NETWORKS.index(network) + 1}"

    def gateway(self, dc: str, network: str) -> str:
        return f"{self.subnet(dc, network)}.1"

    @property
    def witness_address(self) -> str:
        return f"{self._first}.23.1.2"

    def oob_address(self, number: int) -> str:
        return f"{self._first}.20.0.{number}"

    # -- nodes -----------------------------------------------------------
    @property
    def hosts(self) -> tuple[Node, ...]:
        nodes = []
        for dc in DCS:
            number = 11
            for rack in RACKS:
                for index in range(1, self.hosts_per_rack + 1):
                    nodes.append(
                        Node(
                            name=f"{dc}-{rack}-h{index}",
                            kind=Kind.HOST,
                            dc=dc,
                            rack=f"{dc}-{rack}",
                            addresses={
                                net: f"{self.subnet(dc, net)}.{number}"
                                for net in NETWORKS
                            },
                        )
                    )
                    number += 1
        return tuple(nodes)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Every node: control and engine nodes, witness, hosts, BMCs."""
        nodes = []
        for index, dc in enumerate(DCS, start=1):
            for kind, role, last in (
                (Kind.CONTROL, "ctl", 2),
                (Kind.ENGINE, "ha", 3),
            ):
                nodes.append(
                    Node(
                        name=f"{dc}-{role}",
                        kind=kind,
                        dc=dc,
                        rack=None,
                        addresses={
                            "mgmt": f"{self.subnet(dc, 'mgmt')}.{last}",
                            OOB: self.oob_address(10 * index + last),
                        },
                    )
                )
        nodes.append(
            Node(
                name=WITNESS,
                kind=Kind.WITNESS,
                dc=None,
                rack=None,
                addresses={"mgmt": self.witness_address},
            )
        )
        nodes.extend(self.hosts)
        nodes.append(Node(OOB, Kind.OOB, None, None, {}))
        return tuple(nodes)

    def node(self, name: str) -> Node:
        """:raises PlanError: there is no such node; the text lists them."""
        for node in self.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.nodes)
        raise PlanError(f"no node named {name!r} in this lab; it has {names}")

    def host(self, name: str) -> Node:
        """:raises PlanError: there is no such compute host."""
        for node in self.hosts:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.hosts)
        raise PlanError(f"no host named {name!r} in this lab; it has {names}")

    def bmc_address(self, host: str) -> str:
        """The out-of-band address of the BMC of a compute host."""
        names = [node.name for node in self.hosts]
        return self.oob_address(101 + names.index(self.host(host).name))

    # -- cables ----------------------------------------------------------
    @property
    def namespaces(self) -> tuple[str, ...]:
        fabrics = tuple(self.fabric(dc) for dc in DCS)
        return fabrics + tuple(self.space(node.name) for node in self.nodes)

    def space(self, name: str) -> str:
        """The namespace of a node."""
        return self.prefix + name

    def fabric(self, dc: str | None) -> str:
        """The namespace that holds the switches of a data centre."""
        return self.space(f"{dc}-fabric")

    @property
    def links(self) -> tuple[Link, ...]:
        """Every cable; the names are what the link faults take."""
        links: list[Link] = []
        for node in self.nodes:
            links.extend(self._node_links(node))
        for dc in DCS:
            for rack in RACKS:
                for net in NETWORKS:
                    links.append(
                        Link(
                            name=f"{dc}-{rack}:{net}",
                            near=Port(
                                self.fabric(dc),
                                f"dn-{rack}-{net}",
                                f"br-{rack}-{net}",
                            ),
                            far=Port(
                                self.fabric(dc),
                                f"up-{rack}-{net}",
                                f"br-{net}",
                            ),
                        )
                    )
        links.append(
            Link(
                name="inter-dc",
                near=Port(
                    self.fabric("dc1"), "dc2", address="10.20.255.1/30"
                ),
                far=Port(
                    self.fabric("dc2"), "dc1", address="10.20.255.2/30"
                ),
            )
        )
        for index, dc in enumerate(DCS, start=1):
            links.append(
                Link(
                    name=f"witness:{dc}",
                    near=Port(
                        self.space(WITNESS),
                        dc,
                        address=f"10.20.{250 + index}.2/30",
                    ),
                    far=Port(
                        self.fabric(dc),
                        "witness",
                        address=f"10.20.{250 + index}.1/30",
                    ),
                )
            )
        return tuple(links)

    def _node_links(self, node: Node) -> list[Link]:
        links = []
        for net, address in node.addresses.items():
            near = Port(self.space(node.name), net, address=f"{address}/24")
            if node.kind is Kind.WITNESS:
                continue
            if net == OOB:
                far = Port(self.space(OOB), node.name, "br-oob")
            elif node.kind is Kind.HOST:
                rack, short = node.name.split("-")[1:]
                far = Port(
                    self.fabric(node.dc),
                    f"{rack}{short}-{net}",
                    f"br-{rack}-{net}",
                )
            else:
                role = node.name.split("-")[1]
                far = Port(
                    self.fabric(node.dc), f"{role}-{net}", f"br-{net}"
                )
            links.append(Link(f"{node.name}:{net}", near, far))
        return links

    def link(self, name: str) -> Link:
        """:raises PlanError: there is no such cable."""
        for link in self.links:
            if link.name == name:
                return link
        raise PlanError(
            f"no link named {name!r}; links are named NODE:NETWORK, "
            "DC-RACK:NETWORK, inter-dc, witness:dc1 and witness:dc2, with "
            f"the networks {', '.join(NETWORKS)} (and oob)"
        )

    def node_links(self, name: str) -> tuple[Link, ...]:
        """The cables of a node, without its out-of-band one."""
        node = self.node(name)
        if node.kind is Kind.WITNESS:
            return tuple(self.link(f"witness:{dc}") for dc in DCS)
        return tuple(
            self.link(f"{name}:{net}") for net in node.addresses if net != OOB
        )

    # -- routes ----------------------------------------------------------
    @property
    def routes(self) -> dict[str, tuple[str, ...]]:
        """namespace -> arguments of ``ip route replace``, one a route."""
        routes: dict[str, list[str]] = {}
        for node in self.nodes:
            mine = routes.setdefault(self.space(node.name), [])
            if node.dc is None:
                continue
            other = DCS[1 - DCS.index(node.dc)]
            for net in NETWORKS:
                if net not in node.addresses:
                    continue
                via = f"via {self.gateway(node.dc, net)} dev {net}"
                mine.append(f"{self.subnet(other, net)}.0/24 {via}")
                if net == "mgmt":
                    mine.append(f"{self.witness_address}/32 {via}")
        for index, dc in enumerate(DCS, start=1):
            routes[self.fabric(dc)] = [
                f"10.{23 - index}.0.0/16 via 10.20.255.{3 - index}",
                f"{self.witness_address}/32 via 10.20.{250 + index}.2",
            ]
            routes[self.space(WITNESS)].append(
                f"10.{20 + index}.0.0/16 via 10.20.{250 + index}.1 "
                f"src {self.witness_address}"
            )
        return {space: tuple(lines) for space, lines in routes.items()}


def prefix_of(where: str, usual: str) -> str:
    """What the namespaces of the lab in a directory are called.

    :param usual: the directory whose lab has the short names
    """
    if where == usual:
        return DEFAULT_PREFIX
    return f"aalab{hashlib.sha256(where.encode()).hexdigest()[:4]}-"
