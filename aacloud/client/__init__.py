# SPDX-License-Identifier: Apache-2.0
"""The client of the API, and the plugin of the openstack command.

Imports nothing else of aacloud, so that it also runs where no cloud is.
"""
