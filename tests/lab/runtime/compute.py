# SPDX-License-Identifier: Apache-2.0
"""nova-compute with the lab's driver.

Nova loads a compute driver only from inside ``nova.virt``, so the folder
with ours is made a part of that package first. The manager is Nova's own and
tells when it listens.
"""

from __future__ import annotations

import pathlib
import sys

# Nova patches the threading model on import: this one must come first, and
# the others therefore stand further down.
from nova.cmd import compute


def main() -> None:
    from nova import service
    import nova.virt

    here = pathlib.Path(__file__).resolve().parent
    nova.virt.__path__.append(str(here / "virt"))
    service.SERVICE_MANAGERS["nova-compute"] = (
        "tests.lab.runtime.manager.LabComputeManager"
    )
    sys.argv[0] = "nova-compute"
    compute.main()


if __name__ == "__main__":
    main()
