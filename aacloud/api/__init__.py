# SPDX-License-Identifier: Apache-2.0
"""The REST API: what the operator reads and decides, over HTTP."""
