# SPDX-License-Identifier: Apache-2.0
"""What the daemons' commands have in common: read, refuse or run."""

from collections.abc import Callable
from collections.abc import Sequence
import sys

from aacloud import conf as aacloud_conf
from aacloud import service


def run(
    prog: str,
    find_factory: Callable[[], service.DaemonFactory],
    argv: Sequence[str] | None,
) -> int:
    """Read the configuration and run a daemon until it ends.

    :param prog: the name of the command
    :param find_factory: imports what makes the daemon
    :param argv: the arguments; those of the process when None
    :return: the exit status
    """
    try:
        aacloud_conf.parse_args(sys.argv[1:] if argv is None else argv, prog)
    except aacloud_conf.ConfigurationError as exc:
        # Logging is set up from the configuration, so it is not yet there.
        for problem in exc.problems:
            print(f"{prog}: {problem}", file=sys.stderr)
        return service.EXIT_CONFIGURATION
    return service.run(find_factory(), aacloud_conf.CONF, prog)
