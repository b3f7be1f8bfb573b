# SPDX-License-Identifier: Apache-2.0
"""Ports to the cloud, and their adapters to OpenStack's services."""
