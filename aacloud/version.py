# SPDX-License-Identifier: Apache-2.0
"""The version of the installed package."""

from importlib import metadata

PRODUCT = "aacloud"


def version_string() -> str:
    """Return the version, e.g. ``0.1.0.dev7``.

    ``unknown`` when the package runs from a plain directory that was never
    installed, so that a report can still be written.
    """
    try:
        return metadata.version(PRODUCT)
    except metadata.PackageNotFoundError:
        return "unknown"
