# SPDX-License-Identifier: Apache-2.0
"""The engine of HA server groups: membership, inspection and repair."""
