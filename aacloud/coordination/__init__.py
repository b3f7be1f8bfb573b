# SPDX-License-Identifier: Apache-2.0
"""What all engines share to be one leader at a time: lease, term, clock."""
