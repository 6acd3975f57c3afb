// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results of rows, each from one read of the row.
use crate::buffers::{output, product};
use crate::error::{check, require};
use crate::{Logits, Result, Status};
use logprob_sys as sys;
use std::ptr;

type OneNumber = unsafe extern "C" fn(*const sys::lp_logits, *mut f32) -> sys::lp_status;

fn one_number(function: OneNumber, logits: &Logits, out: &mut [f32]) -> Result<()> {
    require(out.len() == logits.rows(), "out has not one element for each row")?;
    check(unsafe { function(&logits.raw, out.as_mut_ptr()) })
}

/// ln of the sum of e^logit of each row.
pub fn logsumexp(logits: &Logits) -> Result<Vec<f32>> {
    let mut out = vec![0.0; logits.rows()];
    logsumexp_into(logits, &mut out).map(|()| out)
}

/// [`logsumexp`] to `out`: `[rows]`.
pub fn logsumexp_into(logits: &Logits, out: &mut [f32]) -> Result<()> {
    one_number(sys::lp_logsumexp, logits, out)
}

/// The entropy of each row.
pub fn entropy(logits: &Logits) -> Result<Vec<f32>> {
    let mut out = vec![0.0; logits.rows()];
    entropy_into(logits, &mut out).map(|()| out)
}

/// [`entropy`] to `out`: `[rows]`.
pub fn entropy_into(logits: &Logits, out: &mut [f32]) -> Result<()> {
    one_number(sys::lp_entropy, logits, out)
}

/// The logprobs of all tokens: `[rows, vocab]`.
pub fn log_softmax(logits: &Logits) -> Result<Vec<f32>> {
    let mut out = vec![0.0; product(logits.rows(), logits.vocab())?];
    log_softmax_into(logits, &mut out, logits.vocab()).map(|()| out)
}

/// [`log_softmax`] to `out`: rows that begin `stride` elements apart; what lies between them stays.
pub fn log_softmax_into(logits: &Logits, out: &mut [f32], stride: usize) -> Result<()> {
    logits.check_output(out.len(), stride)?;
    check(unsafe { sys::lp_log_softmax(&logits.raw, out.as_mut_ptr(), stride) })
}

/// [`log_softmax`] of plain rows of `vocab` elements, which it replaces.
pub fn log_softmax_in_place(data: &mut [f32], vocab: usize) -> Result<()> {
    let mut raw = Logits::new(&*data, vocab)?.raw;
    let place = data.as_mut_ptr();
    raw.data = place.cast();
    check(unsafe { sys::lp_log_softmax(&raw, place, vocab) })
}

/// The logits as every other function sees them: widened, capped, scaled and masked.
pub fn transform_into(logits: &Logits, out: &mut [f32], stride: usize) -> Result<()> {
    logits.check_output(out.len(), stride)?;
    check(unsafe { sys::lp_transform(&logits.raw, out.as_mut_ptr(), stride) })
}

/// The k most probable tokens of each row, best first, ties lowest id first: logprobs and ids, `[rows, k]` each. What a
/// row does not have is id -1 with logprob -inf.
pub fn topk(logits: &Logits, k: usize) -> Result<(Vec<f32>, Vec<i32>)> {
    let n = product(logits.rows(), k)?;
    let (mut logprob, mut token) = (vec![0.0; n], vec![0; n]);
    topk_into(logits, k, &mut logprob, &mut token).map(|()| (logprob, token))
}

/// [`topk`] to `logprob` and `token`.
pub fn topk_into(logits: &Logits, k: usize, logprob: &mut [f32], token: &mut [i32]) -> Result<()> {
    let n = product(logits.rows(), k)?;
    require(logprob.len() == n && token.len() == n, "logprob or token has not k elements for each row")?;
    check(unsafe { sys::lp_topk(&logits.raw, k, logprob.as_mut_ptr(), token.as_mut_ptr()) })
}

/// The logprobs of given tokens, the same number for each row: `[rows, n]` as `token` is. Below 0: none, NaN.
pub fn gather(logits: &Logits, token: &[i32]) -> Result<Vec<f32>> {
    let mut out = vec![0.0; token.len()];
    gather_into(logits, token, &mut out).map(|()| out)
}

/// [`gather`] to `out`.
pub fn gather_into(logits: &Logits, token: &[i32], out: &mut [f32]) -> Result<()> {
    require(out.len() == token.len(), "out and token have different lengths")?;
    let n = tokens_per_row(logits, token)?;
    check(unsafe { sys::lp_gather(&logits.raw, token.as_ptr(), n, out.as_mut_ptr()) })
}

fn tokens_per_row(logits: &Logits, token: &[i32]) -> Result<usize> {
    let n = token.len() / logits.rows().max(1);
    require(n * logits.rows() == token.len(), "token has not the same number of elements for each row")?;
    Ok(n)
}

/// Everything that a server's logprobs response needs. Without tokens the members about them are empty.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// `[rows]`
    pub logsumexp: Vec<f32>,
    /// `[rows]`
    pub entropy: Vec<f32>,
    /// `[rows, n]`
    pub token_logprob: Vec<f32>,
    /// `[rows]`, of each row's first token: 1 + how many logits are above its
    pub token_rank: Vec<i32>,
    /// `[rows, k]`
    pub top_logprob: Vec<f32>,
    /// `[rows, k]`
    pub top_token: Vec<i32>,
}

/// Everything about each row from one read of it. `token`: `[rows, n]`, below 0: none; may be empty.
pub fn score(logits: &Logits, token: &[i32], k: usize) -> Result<Scores> {
    let rows = logits.rows();
    let ranks = if token.is_empty() { 0 } else { rows };
    let top = product(rows, k)?;
    let mut s = Scores {
        logsumexp: vec![0.0; rows],
        entropy: vec![0.0; rows],
        token_logprob: vec![0.0; token.len()],
        token_rank: vec![0; ranks],
        top_logprob: vec![0.0; top],
        top_token: vec![0; top],
    };
    let mut out = ScoreBuffers {
        logsumexp: Some(&mut s.logsumexp),
        entropy: Some(&mut s.entropy),
        top_logprob: Some(&mut s.top_logprob),
        top_token: Some(&mut s.top_token),
        ..Default::default()
    };
    if !token.is_empty() {
        out.token_logprob = Some(&mut s.token_logprob);
        out.token_rank = Some(&mut s.token_rank);
    }
    score_into(logits, token, k, out).map(|()| s)
}

/// Where [`score_into`] writes; what is `None` is not computed.
#[derive(Debug, Default)]
pub struct ScoreBuffers<'a> {
    /// `[rows]`
    pub logsumexp: Option<&'a mut [f32]>,
    /// `[rows]`
    pub entropy: Option<&'a mut [f32]>,
    /// `[rows]`, the largest processed logit
    pub max_logit: Option<&'a mut [f32]>,
    /// `[rows]`, logsumexp - max_logit, accurate relative to itself
    pub log_norm: Option<&'a mut [f32]>,
    /// `[rows, n]`
    pub token_logprob: Option<&'a mut [f32]>,
    /// `[rows]`, of each row's first token: 1 + how many logits are above its
    pub token_rank: Option<&'a mut [i32]>,
    /// `[rows]`: how many are not below its
    pub token_rank_ties: Option<&'a mut [i32]>,
    /// `[rows, k]`; both or neither
    pub top_logprob: Option<&'a mut [f32]>,
    /// `[rows, k]`
    pub top_token: Option<&'a mut [i32]>,
    /// `[rows]`, the numbers of [`Status`]: `Status::from` reads them
    pub status: Option<&'a mut [i32]>,
}

/// [`score`] of what is asked for.
pub fn score_into(logits: &Logits, token: &[i32], k: usize, mut out: ScoreBuffers) -> Result<()> {
    let rows = logits.rows();
    let n = tokens_per_row(logits, token)?;
    let top = product(rows, k)?;
    let one = "an output has not one element for each row";
    let raw = sys::lp_scores {
        logsumexp: output(&mut out.logsumexp, rows, one)?,
        entropy: output(&mut out.entropy, rows, one)?,
        max_logit: output(&mut out.max_logit, rows, one)?,
        log_norm: output(&mut out.log_norm, rows, one)?,
        tokens_per_row: n,
        token_logprob: output(&mut out.token_logprob, token.len(), "token_logprob has not one element for each token")?,
        token_rank: output(&mut out.token_rank, rows, one)?,
        token_rank_ties: output(&mut out.token_rank_ties, rows, one)?,
        top_logprob: output(&mut out.top_logprob, top, "top_logprob has not k elements for each row")?,
        top_token: output(&mut out.top_token, top, "top_token has not k elements for each row")?,
        status: output(&mut out.status, rows, one)?,
        ..Default::default()
    };
    let about_tokens = !(raw.token_logprob.is_null() && raw.token_rank.is_null() && raw.token_rank_ties.is_null());
    require(!about_tokens || n > 0 || rows == 0, "outputs about tokens are wanted, but there are no tokens")?;
    require(raw.top_logprob.is_null() == raw.top_token.is_null(), "top_logprob and top_token: both or neither")?;
    // An empty slice's pointer would count as one token a row.
    let token = if n == 0 { ptr::null() } else { token.as_ptr() };
    check(unsafe { sys::lp_score(&logits.raw, token, k, &raw) })
}

impl Scores {
    /// The k best of a row: logprob and id.
    pub fn top(&self, row: usize) -> impl Iterator<Item = (f32, i32)> + '_ {
        let k = self.top_token.len() / self.logsumexp.len().max(1);
        let range = row * k..(row + 1) * k;
        self.top_logprob[range.clone()].iter().copied().zip(self.top_token[range].iter().copied())
    }
}

impl Status {
    /// Whether it is of a row, so that the other rows have their results.
    pub fn is_of_row(self) -> bool {
        matches!(self, Status::Token | Status::Nan | Status::Inf | Status::Empty)
    }
}
