# SPDX-License-Identifier: Apache-2.0
"""HA server groups in nova-scheduler: ``HAGroupFilter``, ``HAGroupWeigher``.

Lines for nova.conf are in ``filter``.
"""
