# SPDX-License-Identifier: Apache-2.0
"""Programs that the lab's own virtual environment runs."""
