# SPDX-License-Identifier: Apache-2.0
"""The auto-failover engine: observe, decide, journal, act, verify."""
