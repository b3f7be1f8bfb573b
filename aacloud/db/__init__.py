# SPDX-License-Identifier: Apache-2.0
"""What must survive an engine: incidents, hosts, modes and the leadership.

``engine`` opens the database and bounds every call in time, ``models`` names
the tables, ``migration`` makes them, ``journal`` writes incidents by
compare-and-swap, ``api`` reads them and takes what operators ask for.
"""
