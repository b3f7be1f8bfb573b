# SPDX-License-Identifier: Apache-2.0
"""Hand the packaging over to pbr; the metadata is in setup.cfg."""

import setuptools

setuptools.setup(
    setup_requires=["pbr>=6.1.1"],
    pbr=True,
)
