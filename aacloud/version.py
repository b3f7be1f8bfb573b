# SPDX-License-Identifier: Apache-2.0
"""The version of the installed package.

The functions have the names that oslo.reports asks a version module for.
"""

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


def vendor_string() -> str:
    """Return who makes the product."""
    return f"{PRODUCT} developers"


def product_string() -> str:
    """Return the name of the product."""
    return PRODUCT


def version_string_with_package() -> str:
    """Return the version as a report shows it."""
    return version_string()
