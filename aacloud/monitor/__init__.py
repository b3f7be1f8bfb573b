# SPDX-License-Identifier: Apache-2.0
"""The node agent: it probes its peers and reports what it saw."""
