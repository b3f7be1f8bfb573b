# SPDX-License-Identifier: Apache-2.0
"""What is done in each state of an incident."""
