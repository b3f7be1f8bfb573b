# SPDX-License-Identifier: Apache-2.0
"""Fencing: make sure that a host no longer runs, and prove it."""
