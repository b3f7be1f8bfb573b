# SPDX-License-Identifier: Apache-2.0
"""The resources of version 1 of the API."""
