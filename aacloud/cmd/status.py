# SPDX-License-Identifier: Apache-2.0
"""``aacloud-status upgrade check``: is this release ready to run here?"""

from collections.abc import Sequence
import pathlib
import sys

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from aacloud import conf as aacloud_conf
from aacloud.conf import checks

PROG = "aacloud-status"

SUCCESS = upgradecheck.Code.SUCCESS
WARNING = upgradecheck.Code.WARNING
FAILURE = upgradecheck.Code.FAILURE


FAILOVER = "aacloud-failover"
GROUPS = "aacloud-groups"
AGENT = "aacloud-agent"
API = "aacloud-api"


class Checks(upgradecheck.UpgradeCommands):
    """The checks, each of one thing; none changes anything."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf

    def _services(self) -> set[str]:
        """Find the daemons that are configured on this node.

        Each has a file of its own beside the common one, which may be the
        same on all nodes. The inventory is the failover engine's; keys are,
        where there is no agent.

        :return: their names; none when nothing tells
        """
        directories = {
            pathlib.Path(path).parent for path in self._conf.config_file or ()
        }
        found = {
            name
            for name in (FAILOVER, GROUPS, AGENT, API)
            for directory in directories
            if (directory / f"{name}.conf").exists()
        }
        if self._inventory.exists() or (
            AGENT not in found and self._key_file.exists()
        ):
            found.add(FAILOVER)
        return found

    def _left_out(self, *needed: str) -> upgradecheck.Result | None:
        """Return what to say when none of these runs here, or None."""
        here = self._services()
        if not here or here.intersection(needed):
            return None
        return upgradecheck.Result(
            SUCCESS,
            f"Not looked at: it is for {' and '.join(needed)}, and only "
            f"{', '.join(sorted(here))} is configured on this node. If it "
            f"is to run here, write its {needed[0]}.conf.",
        )

    @property
    def _key_file(self) -> pathlib.Path:
        return pathlib.Path(self._conf.aacloud_failover.key_file)

    @property
    def _inventory(self) -> pathlib.Path:
        return pathlib.Path(self._conf.aacloud_fencing.inventory_file)

    def _options(self) -> upgradecheck.Result:
        found = checks.problems(self._conf)
        if found:
            return upgradecheck.Result(FAILURE, "\n".join(found))
        return upgradecheck.Result(SUCCESS)

    def _database(self) -> upgradecheck.Result:
        left_out = self._left_out(FAILOVER, GROUPS, API)
        if left_out is not None:
            return left_out

        from aacloud.db import errors
        from aacloud.db import migration

        try:
            migration.check(self._conf)
        except errors.DatabaseError as exc:
            return upgradecheck.Result(FAILURE, str(exc))
        return upgradecheck.Result(SUCCESS)

    def _keystone(self) -> upgradecheck.Result:
        left_out = self._left_out(FAILOVER, GROUPS)
        if left_out is not None:
            return left_out
        section = self._conf.aacloud_keystone
        if section.auth_type or section.auth_section:
            return upgradecheck.Result(SUCCESS)
        return upgradecheck.Result(
            FAILURE,
            "[aacloud_keystone] auth_type is not set: the engines cannot log "
            "in to the cloud",
        )

    def _keys(self) -> upgradecheck.Result:
        left_out = self._left_out(FAILOVER, AGENT)
        if left_out is not None:
            return left_out

        from aacloud.rpc import signing

        section = self._conf.aacloud_failover
        if self._services() == {AGENT}:
            section = self._conf.aacloud_agent
        try:
            signing.KeyRing.from_file(section.key_file)
        except signing.KeyFileError as exc:
            return upgradecheck.Result(FAILURE, str(exc))
        return upgradecheck.Result(SUCCESS)

    def _fencing(self) -> upgradecheck.Result:
        left_out = self._left_out(FAILOVER)
        if left_out is not None:
            return left_out

        from aacloud.fencing import drivers
        from aacloud.fencing import inventory

        section = self._conf.aacloud_fencing
        try:
            found = inventory.load(
                section.inventory_file, drivers.load_drivers(section.timeout)
            )
        except inventory.InventoryError as exc:
            return upgradecheck.Result(FAILURE, "\n".join(exc.problems))
        if not found.targets:
            return upgradecheck.Result(
                WARNING,
                f"{section.inventory_file} lists no host: nothing can be "
                "fenced, so nothing will be evacuated",
            )
        return upgradecheck.Result(SUCCESS)

    def _coordination(self) -> upgradecheck.Result:
        left_out = self._left_out(FAILOVER, GROUPS)
        if left_out is not None:
            return left_out
        url = self._conf.aacloud_coordination.backend_url
        if url.startswith("file:"):
            return upgradecheck.Result(
                WARNING,
                "[aacloud_coordination] backend_url is a directory: only "
                "engines on this host can agree who leads. Use etcd in "
                "production.",
            )
        return upgradecheck.Result(SUCCESS)

    _upgrade_checks = (
        ("Options", _options),
        ("Database tables", _database),
        ("Login to the cloud", _keystone),
        ("Probe keys", _keys),
        ("Fencing inventory", _fencing),
        ("Leader election", _coordination),
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    :return: OpenStack's statuses of this command: 0 when all is well, 1 for
        a warning, 2 for a failure, 255 when a check itself failed
    """
    conf = cfg.ConfigOpts()
    aacloud_conf.register_opts(conf)
    upgradecheck.register_cli_options(conf, Checks(conf))
    try:
        aacloud_conf.parse_args(
            sys.argv[1:] if argv is None else argv, PROG, conf=conf
        )
    except aacloud_conf.ConfigurationError as exc:
        for problem in exc.problems:
            print(f"{PROG}: {problem}", file=sys.stderr)
        return int(FAILURE)
    # It looks there whether JSON was asked for.
    upgradecheck.CONF = conf
    return int(upgradecheck.run(conf))
