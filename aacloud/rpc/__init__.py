# SPDX-License-Identifier: Apache-2.0
"""What travels between the daemons: signed reports, calls, notifications."""
