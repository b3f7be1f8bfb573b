# SPDX-License-Identifier: Apache-2.0
"""What ``aacloud-manage`` does, a module for each of its nouns."""
