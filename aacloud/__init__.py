# SPDX-License-Identifier: Apache-2.0
"""An active-active OpenStack over two data centres."""
