// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sums over the tokens of sequences.
use crate::buffers::{input, output};
use crate::error::{check, require};
use crate::{Logits, Result};
use logprob_sys as sys;

/// Of the kept tokens of a sequence: the sum of their logprobs, its mean, perplexity, the least likely one, whether all
/// were greedy (1, 0, -1: not known), and the number of a [`Status`](crate::Status).
pub use logprob_sys::lp_sequence as Sequence;

/// Sequence i is rows `offset[i]` to `offset[i + 1] - 1`. Returns how many there are.
fn check_offset(offset: &[usize], rows: usize) -> Result<usize> {
    require(offset.windows(2).all(|pair| pair[0] <= pair[1]), "offset decreases")?;
    require(matches!(offset.last(), Some(&end) if end <= rows), "offset is empty, or ends behind the last row")?;
    Ok(offset.len() - 1)
}

/// A bool is a byte that is 0 or 1.
fn kept(keep: Option<&[bool]>, rows: usize) -> Result<*const u8> {
    Ok(input(keep, rows, "keep has not one element for each row")?.cast())
}

/// Sums logprobs that are at hand. `keep`: which rows count; None: all.
pub fn sequence_sum(token_logprob: &[f32], keep: Option<&[bool]>, offset: &[usize]) -> Result<Vec<Sequence>> {
    let mut out = vec![Sequence::default(); offset.len().saturating_sub(1)];
    sequence_sum_into(token_logprob, keep, offset, &mut out).map(|()| out)
}

/// [`sequence_sum`] to `out`.
pub fn sequence_sum_into(
    token_logprob: &[f32],
    keep: Option<&[bool]>,
    offset: &[usize],
    out: &mut [Sequence],
) -> Result<()> {
    let n = check_offset(offset, token_logprob.len())?;
    require(out.len() == n, "out has not one element for each sequence")?;
    let keep = kept(keep, token_logprob.len())?;
    check(unsafe { sys::lp_sequence_sum(token_logprob.as_ptr(), keep, offset.as_ptr(), n, out.as_mut_ptr()) })
}

/// Scores sequences from their logits, of which row t predicts `token[t]` (below 0: not kept). Others are not read.
pub fn sequence_score(
    logits: &Logits,
    token: &[i32],
    keep: Option<&[bool]>,
    offset: &[usize],
) -> Result<Vec<Sequence>> {
    let mut out = vec![Sequence::default(); offset.len().saturating_sub(1)];
    sequence_score_into(logits, token, keep, offset, &mut out, None).map(|()| out)
}

/// [`sequence_score`] to `out`, and the tokens' logprobs (NaN where not kept) to `token_logprob`.
pub fn sequence_score_into(
    logits: &Logits,
    token: &[i32],
    keep: Option<&[bool]>,
    offset: &[usize],
    out: &mut [Sequence],
    mut token_logprob: Option<&mut [f32]>,
) -> Result<()> {
    let rows = logits.rows();
    let n = check_offset(offset, rows)?;
    require(token.len() == rows, "token has not one element for each row")?;
    require(out.len() == n, "out has not one element for each sequence")?;
    let keep = kept(keep, rows)?;
    let logprob = output(&mut token_logprob, rows, "token_logprob has not one element for each row")?;
    check(unsafe {
        sys::lp_sequence_score(&logits.raw, token.as_ptr(), keep, offset.as_ptr(), n, out.as_mut_ptr(), logprob)
    })
}
