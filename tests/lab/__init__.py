# SPDX-License-Identifier: Apache-2.0
"""A real two-data-centre OpenStack on one machine.

``python3 -m tests.lab up`` builds it, ``down`` takes it away. Everything
here runs on the standard library alone; only the programs under
``tests/lab/runtime`` are run by the lab's own virtual environment.
"""
