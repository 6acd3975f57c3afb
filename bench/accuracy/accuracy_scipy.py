# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads one row of float32 from standard input, writes scipy.special.log_softmax of it, in float32, to standard output."""
import sys

import numpy
from scipy.special import log_softmax

with numpy.errstate(all="ignore"):
    row = numpy.frombuffer(sys.stdin.buffer.read(), dtype="<f4")
    sys.stdout.buffer.write(log_softmax(row).astype("<f4").tobytes())
