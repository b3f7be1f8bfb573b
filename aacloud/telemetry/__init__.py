# SPDX-License-Identifier: Apache-2.0
"""What a daemon tells about itself: health, metrics, reports."""
