# SPDX-License-Identifier: MIT OR Apache-2.0
"""The logprob, rank and five best alternatives of each chosen token."""
import logprob
import numpy as np

logits = np.random.default_rng(0).normal(size=(3, 32000)).astype(np.float32)  # [rows, vocab]: what the model gave
scores = logprob.score(logits, tokens=[17, 4, 31999], k=5)  # one read of each row
print(scores.token_logprob, scores.token_rank, scores.top_token, scores.top_logprob, scores.entropy, sep="\n")
