# SPDX-License-Identifier: Apache-2.0
"""``aacloud-manage topology``: racks and data centres in Nova's aggregates."""

import argparse
import sys
from typing import TYPE_CHECKING

from oslo_config import cfg

from aacloud.cmd import errors
from aacloud.cmd import output
from aacloud.conf import documents

if TYPE_CHECKING:
    from aacloud.clouds import ports
    from aacloud.core.topology import aggregates as planner

COLUMNS = ("DC", "Rack", "Host", "Instance disks", "Nova")

EXAMPLE = """\
example of a file:
  dcs:
    dc1:
      racks:
        dc1-r1: {hosts: [dc1-r1-h1, dc1-r1-h2], instance_disks: shared}
    dc2:
      racks:
        dc2-r1: {hosts: [dc2-r1-h1], instance_disks: local}
"""


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the verbs of this noun to its parser."""
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    apply = verbs.add_parser(
        "apply",
        help="write racks and data centres into Nova's host aggregates",
        description="Write racks and data centres into the metadata of "
        "Nova's host aggregates.\nShows what would change, and asks. "
        "Aggregates without aacloud: metadata\nare not touched.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    apply.add_argument("file", metavar="FILE", help="the topology, as YAML")
    apply.add_argument(
        "--yes", action="store_true", help="do not ask before changing"
    )
    apply.add_argument(
        "--dry-run",
        action="store_true",
        help="show what would change, and change nothing",
    )
    apply.set_defaults(action=_apply)
    check = verbs.add_parser(
        "check",
        help="look for hosts without a place, with two, or without a fence",
        description="Look for hosts without a rack or data centre, with two "
        "of them, or missing in the fencing inventory.",
    )
    check.add_argument(
        "-f",
        "--format",
        choices=("table", "json"),
        default="table",
        help="how to show the result (default: %(default)s)",
    )
    check.set_defaults(action=_check)


def _cloud(conf: cfg.ConfigOpts) -> "ports.Cloud":
    from keystoneauth1 import exceptions

    from aacloud.clouds import nova

    section = conf.aacloud_keystone
    if not section.auth_type and not section.auth_section:
        raise errors.CommandFailed(
            ["[aacloud_keystone] auth_type is not set: how to log in?"]
        )
    try:
        return nova.NovaCloud.from_conf(conf)
    except exceptions.ClientException as exc:
        raise errors.CommandFailed([f"[aacloud_keystone]: {exc}"]) from exc


def _apply(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from aacloud.clouds import errors as cloud_errors
    from aacloud.core.topology import aggregates as planner
    from aacloud.core.topology import document
    from aacloud.core.topology import model

    content = documents.read_yaml(args.file)
    try:
        wanted = document.parse_topology(content)
    except model.TopologyError as exc:
        raise errors.CommandFailed(
            f"{args.file}: {problem}" for problem in exc.problems
        ) from exc
    try:
        cloud = _cloud(conf)
        known = cloud.services().keys()
        change = planner.plan_topology_change(
            cloud.aggregates(), wanted, known
        )
    except cloud_errors.CloudError as exc:
        raise errors.CommandFailed([f"nothing was changed: {exc}"]) from exc
    if change.problems:
        raise errors.CommandFailed(
            (*change.problems, "nothing was changed")
        )
    if not change.steps:
        print("Nova's aggregates say so already: nothing to change")
        return 0
    for step in change.steps:
        sign = "-" if isinstance(step, planner.RemoveHost) else "+"
        print(f"{sign} {step}")
    if args.dry_run:
        print(f"Dry run: {len(change.steps)} changes were not made")
        return 0
    if not args.yes:
        _ask(len(change.steps))
    _change(cloud, change)
    print(f"{len(change.steps)} changes were made")
    return 0


def _ask(count: int) -> None:
    if not sys.stdin.isatty():
        raise errors.CommandFailed(
            (
                "nothing was changed: there is no terminal to ask on",
                "give --yes when the changes above are right",
            )
        )
    answer = input(f"Make these {count} changes? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise errors.CommandFailed(["nothing was changed"])


def _change(cloud: "ports.Cloud", change: "planner.TopologyChange") -> None:
    from aacloud.clouds import errors as cloud_errors
    from aacloud.core.topology import aggregates as planner

    #: Aggregates that are made here have no id before.
    ids: dict[str, int] = {}
    for done, step in enumerate(change.steps):
        try:
            if isinstance(step, planner.CreateAggregate):
                made = cloud.create_aggregate(step.name, step.metadata)
                if made.id is not None:
                    ids[step.name] = made.id
                continue
            number = step.aggregate_id
            if number is None:
                number = ids[step.aggregate]
            if isinstance(step, planner.SetMetadata):
                cloud.set_aggregate_metadata(number, step.metadata)
            elif isinstance(step, planner.AddHost):
                cloud.add_to_aggregate(number, step.host)
            else:
                cloud.remove_from_aggregate(number, step.host)
        except cloud_errors.CloudError as exc:
            raise errors.CommandFailed(
                (
                    f"could not {step}: {exc}",
                    f"{done} of {len(change.steps)} changes were made",
                    "run the command again to make the rest",
                )
            ) from exc


def _check(args: argparse.Namespace, conf: cfg.ConfigOpts) -> int:
    from aacloud.clouds import errors as cloud_errors
    from aacloud.core.topology import aggregates as planner

    try:
        cloud = _cloud(conf)
        services = cloud.services()
        topology, found = planner.topology_from_aggregates(
            cloud.aggregates()
        )
    except cloud_errors.CloudError as exc:
        raise errors.CommandFailed([str(exc)]) from exc
    problems = list(found)
    rows = []
    for host in sorted(
        topology.hosts.values(), key=lambda h: (h.dc, h.rack, h.name)
    ):
        service = services.get(host.name)
        if service is None:
            problems.append(
                f"host {host.name} has a place, but Nova knows no "
                "nova-compute of that name"
            )
        rows.append(
            {
                "DC": host.dc,
                "Rack": host.rack,
                "Host": host.name,
                "Instance disks": host.instance_disks,
                "Nova": _state(service),
            }
        )
    named = " ".join(found)
    problems.extend(
        f"host {name} has no place: add it to the topology file and apply it"
        for name in sorted(set(services) - set(topology.hosts))
        if f"host {name} " not in named
    )
    problems += _without_fence(conf, sorted(topology.hosts))
    if args.format == "json":
        output.print_json({"hosts": rows, "problems": problems})
    else:
        output.print_table(COLUMNS, rows)
    if problems:
        raise errors.CommandFailed(problems)
    return 0


def _state(service: object) -> str:
    if service is None:
        return "unknown"
    said = [str(getattr(service, "state", "unknown"))]
    said += [
        word
        for word in ("disabled", "forced_down")
        if getattr(service, word, False)
    ]
    return ", ".join(said)


def _without_fence(conf: cfg.ConfigOpts, hosts: list[str]) -> list[str]:
    from aacloud.fencing import drivers
    from aacloud.fencing import inventory

    section = conf.aacloud_fencing
    try:
        listed = inventory.load(
            section.inventory_file, drivers.load_drivers(section.timeout)
        )
    except inventory.InventoryError as exc:
        return list(exc.problems)
    return [
        f"host {name} is not in {section.inventory_file}: when it dies, "
        "nothing can prove that it is off"
        for name in listed.missing(hosts)
    ]
