# SPDX-License-Identifier: Apache-2.0
"""The command line of the lab."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import dataclasses
import json
import os
import signal
import subprocess
import sys

from tests.lab import bringup
from tests.lab import demo
from tests.lab import faults
from tests.lab import network
from tests.lab import process
from tests.lab import rest
from tests.lab import runner
from tests.lab import servers
from tests.lab import suite
from tests.lab.control import Lab
from tests.lab.control import Status
from tests.lab.plan import Kind
from tests.lab.plan import LabPlan
from tests.lab.plan import PlanError
from tests.lab.preflight import Refused
from tests.lab.progress import Progress
from tests.lab.services.base import CommandFailed
from tests.lab.services.infra import CONTROL
from tests.lab.state import DEFAULT
from tests.lab.state import LabBusy
from tests.lab.state import NoLab

#: Wrong use and refusals: nothing was changed.
WRONG = (
    Refused, PlanError, faults.FaultError, NoLab, LabBusy, demo.NotCalm)
FAILED = (
    CommandFailed,
    runner.NotUp,
    network.NetworkError,
    process.StartError,
    rest.RestError,
    subprocess.TimeoutExpired,
    servers.BootFailed,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command of the lab; its exit status.

    0: done; 1: it failed, or ``status`` found something unfit; 2: wrong use
    or refused, and nothing was changed.
    """
    arguments = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        status = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read it has seen enough. Python would complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except WRONG as exc:
        print(f"tests.lab: {exc}", file=sys.stderr)
        return 2
    except FAILED as exc:
        print(f"tests.lab: {exc}", file=sys.stderr)
        return 1
    except PermissionError as exc:
        print(f"tests.lab: {exc}: run it as root", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ntests.lab: stopped; 'up' goes on, 'down' cleans up",
              file=sys.stderr)  # fmt: skip
        return 130


def _interrupt(number: int, frame: object) -> None:
    """Let SIGTERM end the program as Ctrl-C does."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.lab",
        description="A real two-data-centre OpenStack on one machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="examples:\n"
        "  python3 -m tests.lab demo\n"
        "  python3 -m tests.lab exec -- openstack ha incident list\n"
        "  python3 -m tests.lab fault host-crash dc1-r1-h1\n"
        "  python3 -m tests.lab fault clear",
    )
    parser.add_argument(
        "--dir",
        help=f"where it lives (AACLOUD_LAB_DIR, or {DEFAULT})",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("up", help="bring it up, or make it fit again")
    one.add_argument("--hosts-per-rack", type=int, metavar="N")
    one.add_argument(
        "--loopback",
        action="store_true",
        help="without network namespaces",
    )
    one.set_defaults(run=_up)

    one = commands.add_parser("down", help="end it and remove its data")
    one.add_argument(
        "--purge",
        action="store_true",
        help="remove the installed Python packages and the logs, too",
    )
    one.set_defaults(run=_down)

    one = commands.add_parser(
        "demo",
        help="bring the lab up, let a host die, and see aacloud recover it",
    )
    one.set_defaults(run=_demo)

    one = commands.add_parser(
        "test",
        help="bring the lab up, let things fail in it, and see that aacloud "
        "does what it must and nothing else",
    )
    one.add_argument(
        "--all",
        action="store_true",
        help="all tests, also those that take long",
    )
    one.add_argument("-k", metavar="EXPR", help="only these, as pytest's -k")
    one.set_defaults(run=_test)

    one = commands.add_parser("status", help="show what runs where")
    one.add_argument(
        "-f", "--format", choices=("table", "json"), default="table"
    )
    one.set_defaults(run=_status)

    one = commands.add_parser(
        "fault",
        help="make or mend a fault ('fault list' shows them)",
        description="fault list | fault NAME [ARGUMENT…] | fault clear "
        "[NAME [ARGUMENT…]] | fault power HOST on|off",
    )
    one.add_argument("name")
    one.add_argument("arguments", nargs="*")
    one.set_defaults(run=_fault)

    one = commands.add_parser(
        "exec",
        help="run a command on a node, with the admin's credentials",
    )
    one.add_argument("--node", default=CONTROL)
    one.add_argument("argv", nargs=argparse.REMAINDER)
    one.set_defaults(run=_exec)
    return parser


def _up(arguments: argparse.Namespace) -> int:
    progress = Progress()
    plan = None
    if arguments.hosts_per_rack is not None or arguments.loopback:
        plan = LabPlan(arguments.hosts_per_rack or 2, arguments.loopback)
    lab = Lab.up(arguments.dir, plan, progress)
    print(
        f"\nThe lab is up after {progress.seconds:.0f} s: "
        f"{len(lab.hosts)} hosts in two data centres. Try\n"
        "  python3 -m tests.lab status\n"
        "  python3 -m tests.lab exec -- openstack server list\n"
        "  python3 -m tests.lab fault list"
    )
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    progress = Progress()
    lab = Lab.up(arguments.dir, None, progress)
    progress.say("the lab is up")
    return demo.run(lab, progress)


def _test(arguments: argparse.Namespace) -> int:
    progress = Progress()
    lab = Lab.up(arguments.dir, None, progress)
    progress.say("the lab is up")
    return suite.run(lab, everything=arguments.all, chosen=arguments.k)


def _down(arguments: argparse.Namespace) -> int:
    bringup.down(
        Lab.directory(arguments.dir), Progress(), arguments.purge
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    lab = Lab.open(arguments.dir)
    status = lab.status()
    if arguments.format == "json":
        print(json.dumps(_as_dict(lab, status), indent=1))
    else:
        _print_status(lab, status)
    return 0 if status.fit else 1


def _as_dict(lab: Lab, status: Status) -> dict[str, object]:
    return {
        "dir": str(lab.state.dir),
        "loopback": lab.plan.loopback,
        "fit": status.fit,
        "nodes": [
            {
                "name": node.name,
                "kind": node.kind.value,
                "dc": node.dc,
                "rack": node.rack,
                "addresses": node.addresses,
                "powered": status.powered.get(node.name, True),
                "services": [
                    dataclasses.asdict(one) | {"state": one.word}
                    for one in status.services
                    if one.node == node.name
                ],
                "guests": sorted(
                    guest
                    for guest, where in status.guests.items()
                    if node.name in where
                ),
            }
            for node in lab.plan.nodes
        ],
        "faults": list(status.faults),
        "links_cut": list(status.cut),
        "guests_twice": status.twice,
    }


def _print_status(lab: Lab, status: Status) -> None:
    for node in lab.plan.nodes:
        words = [
            f"{one.name} {one.word}"
            for one in status.services
            if one.node == node.name
        ]
        line = f"{node.name:<11} {node.addresses.get('mgmt', ''):<12} "
        if node.kind is Kind.HOST:
            guests = sum(node.name in at for at in status.guests.values())
            power = "on " if status.powered[node.name] else "off"
            line += f"power {power}  guests {guests:<3} "
        print(line + ", ".join(words))
    for fault in status.faults:
        print(f"fault: {fault}")
    for link in status.cut:
        print(f"cut: {link}")
    for guest, where in status.twice.items():
        print(f"RUNS TWICE: {guest} on {', '.join(where)}")
    print("fit" if status.fit else "not fit")


def _fault(arguments: argparse.Namespace) -> int:
    name, rest_of = arguments.name, arguments.arguments
    if name == "list":
        for fault in faults.FAULTS.values():
            usage = " ".join((fault.name, *fault.arguments))
            print(f"{usage:<28} {fault.text}")
        print(f"{'power HOST on|off':<28} press the button, through Redfish")
        print(f"{'clear [NAME [ARGUMENT…]]':<28} mend one fault, or all")
        try:
            lab = Lab.open(arguments.dir)
        except NoLab:
            return 0
        for line in faults.active(lab.state):
            print(f"now: {line}")
        return 0
    lab = Lab.open(arguments.dir)
    if name == "clear":
        if rest_of:
            lab.mend(*rest_of)
        else:
            for line in faults.mend_all(lab.state):
                print(f"mended: {line}")
        return 0
    if name == "power":
        if len(rest_of) != 2 or rest_of[1] not in ("on", "off"):
            raise faults.FaultError("use: fault power HOST on|off")
        lab.set_power(lab.plan.host(rest_of[0]).name, rest_of[1] == "on")
        return 0
    lab.fault(name, *rest_of)
    return 0


def _exec(arguments: argparse.Namespace) -> int:
    argv = arguments.argv
    if argv[:1] == ["--"]:
        argv = argv[1:]
    if not argv:
        raise faults.FaultError("use: exec [--node NODE] -- COMMAND …")
    lab = Lab.open(arguments.dir)
    done = subprocess.run(
        lab.command(arguments.node, argv),
        env=lab.environment(arguments.node),
    )
    return done.returncode
