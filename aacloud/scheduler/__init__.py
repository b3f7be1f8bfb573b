# SPDX-License-Identifier: Apache-2.0
"""What runs inside the schedulers of Nova and Cinder: light, never raises."""
