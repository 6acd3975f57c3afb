# SPDX-License-Identifier: MIT OR Apache-2.0
"""The version, which is that of include/logprob.h."""
__version__ = "0.1.0"
