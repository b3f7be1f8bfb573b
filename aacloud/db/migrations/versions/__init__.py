# SPDX-License-Identifier: Apache-2.0
"""One module a step; the file name starts with its revision."""
