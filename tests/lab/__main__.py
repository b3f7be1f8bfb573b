# SPDX-License-Identifier: Apache-2.0
"""``python3 -m tests.lab``."""

import sys

if sys.version_info < (3, 11):
    print(
        "the OpenStack of the lab needs Python 3.11 or newer and this is "
        + sys.version.split()[0],
        file=sys.stderr,
    )
    sys.exit(2)

from tests.lab.cli import main

sys.exit(main())
