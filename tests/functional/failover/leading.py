# SPDX-License-Identifier: Apache-2.0
"""A process that campaigns and prints, for the tests of the lease.

Prints ``elected``, ``lost`` and, at each line read from standard input,
``valid`` or ``invalid``.
"""

import sys

from aacloud.coordination import leader


def say(text: str) -> None:
    print(text, flush=True)


def main() -> None:
    url, member, lease_s = sys.argv[1:]
    lease = leader.LeaderLease(
        url, member, lease=int(lease_s),
        on_elected=lambda: say('elected'),
        on_lost=lambda reason: say('lost'))
    lease.start()
    for _line in sys.stdin:
        say('valid' if lease.valid() else 'invalid')
    lease.stop()


if __name__ == '__main__':
    main()
