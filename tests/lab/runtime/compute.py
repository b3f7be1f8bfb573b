# SPDX-License-Identifier: Apache-2.0
"""nova-compute with the lab's driver.

Nova loads a compute driver only from inside ``nova.virt``, so the folder
with ours is made a part of that package first. The manager is Nova's own and
tells when it listens.
"""

from __future__ import annotations

import importlib
import pathlib
import sys

from tests.lab.runtime import daemon

MANAGER = "tests.lab.runtime.manager"


def main() -> None:
    # Nova sets the threading model when this is imported: it comes first.
    run = daemon.load("nova.cmd.compute:main")
    from nova import service
    import nova.virt

    here = pathlib.Path(__file__).resolve().parent
    nova.virt.__path__.append(str(here / "virt"))
    importlib.import_module(MANAGER)
    importlib.import_module("nova.virt.aalab")
    service.SERVICE_MANAGERS["nova-compute"] = f"{MANAGER}.LabComputeManager"
    sys.argv[0] = "nova-compute"
    daemon.settle()
    run()


if __name__ == "__main__":
    main()
