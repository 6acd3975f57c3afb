# SPDX-License-Identifier: MIT OR Apache-2.0
"""Log-probabilities from raw logits in one read of each row, with the same bits on every CPU.

Shapes: logits are [..., vocab], and results have the leading shape. A single row [vocab] gives numbers. Logits are read
where they lie, and calls run without the GIL. Natural logarithms, nats. include/logprob.h of the C library says what
each function promises and how accurate it is.
"""
from ._version import __version__
from .comparison import Divergence, compare
from .errors import ArgumentError, LogprobError, RowError, StateError, Status
from .isa import isa, select_isa, supported_isas, version
from .logits import Logits, transform
from .partial import EntropyBounds, Renormalized, exp, label_logprob, partial_entropy, renormalize
from .rows import Scores, TopK, entropy, gather, log_softmax, logsumexp, score, topk
from .sequences import Sequences, sequence_score, sequence_sum
from .streams import Row, Stream

__all__ = [
    "ArgumentError",
    "Divergence",
    "EntropyBounds",
    "Logits",
    "LogprobError",
    "Renormalized",
    "Row",
    "RowError",
    "Scores",
    "Sequences",
    "StateError",
    "Status",
    "Stream",
    "TopK",
    "__version__",
    "compare",
    "entropy",
    "exp",
    "gather",
    "isa",
    "label_logprob",
    "log_softmax",
    "logsumexp",
    "partial_entropy",
    "renormalize",
    "score",
    "select_isa",
    "sequence_score",
    "sequence_sum",
    "supported_isas",
    "topk",
    "transform",
    "version",
]
