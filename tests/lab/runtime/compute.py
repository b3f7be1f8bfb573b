# SPDX-License-Identifier: Apache-2.0
"""nova-compute with the lab's driver.

Nova loads a compute driver only from inside ``nova.virt``, so the folder
with ours is made a part of that package first.
"""

from __future__ import annotations

import pathlib
import sys

# Nova patches the threading model on import: it must come first.
from nova.cmd import compute
import nova.virt


def main() -> None:
    here = pathlib.Path(__file__).resolve().parent
    nova.virt.__path__.append(str(here / "virt"))
    sys.argv[0] = "nova-compute"
    compute.main()


if __name__ == "__main__":
    main()
