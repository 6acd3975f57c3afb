// SPDX-License-Identifier: MIT OR Apache-2.0
//! Log-probabilities from raw logits in one read of each row, with the same bits on every CPU.
//!
//! ```
//! # fn main() -> Result<(), logprob::Error> {
//! let logits = [0.0f32, 3.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0]; // two rows of a vocabulary of 4
//! let scores = logprob::score(&logprob::Logits::new(&logits, 4)?, &[3, 0], 2)?;
//! assert_eq!(scores.token_rank, [2, 1]);
//! assert_eq!(scores.top_token, [1, 3, 0, 1]);
//! assert_eq!(scores.token_logprob[1], -(4.0f32.ln()));
//! # Ok(())
//! # }
//! ```
//! Natural logarithms, nats. [`Logits`] says where rows lie and what is applied to them while they are read. Functions
//! that end in `_into` write to the caller's slices and allocate nothing. Formulas, ranges and accuracy are in
//! include/logprob.h.
//!
//! An error of the call ([`Status::Arg`], [`Status::Space`], [`Status::Isa`], [`Status::State`]) comes before anything is
//! written. The other states are those of rows, of which the first bad one is returned: the `_into` functions have then
//! written every row, NaN for the bad ones; the others return the error alone.
mod buffers;
mod compare;
mod error;
mod isa;
mod logits;
mod partial;
mod rows;
mod sequence;
mod stream;

pub use compare::{compare, compare_into, Divergence, DivergenceBuffers};
pub use error::{Error, Status};
pub use isa::{isa, select_isa, supported, version, Isa};
pub use logits::{Data, Logits};
pub use partial::{exp_into, label_logprob, mass, partial_entropy, renormalize_into, Mass};
pub use rows::{
    entropy, entropy_into, gather, gather_into, log_softmax, log_softmax_in_place, log_softmax_into, logsumexp,
    logsumexp_into, score, score_into, topk, topk_into, transform_into, ScoreBuffers, Scores,
};
pub use sequence::{sequence_score, sequence_score_into, sequence_sum, sequence_sum_into, Sequence};
pub use stream::{Row, Stream};

pub type Result<T> = std::result::Result<T, Error>;
