# SPDX-License-Identifier: Apache-2.0
"""What decides: pure functions over frozen records, no service needed.

Nothing in here reads a clock, a file or a socket. Time comes in as an
argument, decisions go out together with their reasons.
"""
