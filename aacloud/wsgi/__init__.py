# SPDX-License-Identifier: Apache-2.0
"""WSGI module paths, for any WSGI server."""
