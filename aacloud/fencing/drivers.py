# SPDX-License-Identifier: Apache-2.0
"""Finding the fencing drivers that are installed."""

from collections.abc import Mapping
import logging
import typing

import stevedore

from aacloud.fencing import base

LOG = logging.getLogger(__name__)


def load_drivers(
    timeout: float, clock: base.Clock = base.utcnow
) -> Mapping[str, base.FenceDriver]:
    """Return one instance of each installed driver, by name.

    ``timeout``: seconds that one call to a controller may take. A driver that
    cannot be loaded is logged and left out: only hosts that need it suffer.
    """
    found: dict[str, base.FenceDriver] = {}
    manager: stevedore.ExtensionManager[typing.Any]
    manager = stevedore.ExtensionManager(
        namespace=base.NAMESPACE,
        invoke_on_load=False,
        on_load_failure_callback=_complain,
    )
    for extension in manager:
        try:
            found[extension.name] = extension.plugin(
                timeout=timeout, clock=clock
            )
        except Exception as error:  # noqa: BLE001 - one of many
            _complain(manager, extension.name, error)
    return found


def _complain(manager: object, name: object, error: BaseException) -> None:
    LOG.error(
        "The fencing driver %s cannot be used: %s: %s. Hosts that need it "
        "cannot be fenced until it is mended.",
        name,
        type(error).__name__,
        error,
    )
