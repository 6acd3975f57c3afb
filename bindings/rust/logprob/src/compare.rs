// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two models on the same positions.
use crate::buffers::{input, output};
use crate::error::{check, require};
use crate::{Logits, Result};
use logprob_sys as sys;

/// How far two models are apart, each `[rows]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    pub kl: Vec<f64>,
    pub reverse_kl: Vec<f64>,
    pub cross_entropy: Vec<f64>,
    /// of logprobs; -inf against -inf is 0
    pub max_abs_diff: Vec<f32>,
    pub p_top: Vec<i32>,
    pub q_top: Vec<i32>,
}

/// KL(p, q), KL(q, p), the cross entropy and the largest difference of the logprobs of two models, row by row.
pub fn compare(p: &Logits, q: &Logits) -> Result<Divergence> {
    let rows = p.rows();
    let mut d = Divergence {
        kl: vec![0.0; rows],
        reverse_kl: vec![0.0; rows],
        cross_entropy: vec![0.0; rows],
        max_abs_diff: vec![0.0; rows],
        p_top: vec![0; rows],
        q_top: vec![0; rows],
    };
    let out = DivergenceBuffers {
        kl: Some(&mut d.kl),
        reverse_kl: Some(&mut d.reverse_kl),
        cross_entropy: Some(&mut d.cross_entropy),
        max_abs_diff: Some(&mut d.max_abs_diff),
        p_top: Some(&mut d.p_top),
        q_top: Some(&mut d.q_top),
        ..Default::default()
    };
    compare_into(p, q, None, out).map(|()| d)
}

/// Where [`compare_into`] writes, each `[rows]`; what is `None` is not computed.
#[derive(Debug, Default)]
pub struct DivergenceBuffers<'a> {
    pub kl: Option<&'a mut [f64]>,
    pub reverse_kl: Option<&'a mut [f64]>,
    pub cross_entropy: Option<&'a mut [f64]>,
    pub max_abs_diff: Option<&'a mut [f32]>,
    pub p_token_logprob: Option<&'a mut [f32]>,
    pub q_token_logprob: Option<&'a mut [f32]>,
    pub p_top: Option<&'a mut [i32]>,
    pub q_top: Option<&'a mut [i32]>,
    /// the numbers of [`Status`](crate::Status)
    pub status: Option<&'a mut [i32]>,
}

/// [`compare`] of what is asked for; `token`: one for each row.
pub fn compare_into(p: &Logits, q: &Logits, token: Option<&[i32]>, mut out: DivergenceBuffers) -> Result<()> {
    require(p.rows() == q.rows() && p.vocab() == q.vocab(), "p and q have different shapes")?;
    let rows = p.rows();
    let one = "an output has not one element for each row";
    let raw = sys::lp_divergence {
        kl: output(&mut out.kl, rows, one)?,
        reverse_kl: output(&mut out.reverse_kl, rows, one)?,
        cross_entropy: output(&mut out.cross_entropy, rows, one)?,
        max_abs_diff: output(&mut out.max_abs_diff, rows, one)?,
        p_token_logprob: output(&mut out.p_token_logprob, rows, one)?,
        q_token_logprob: output(&mut out.q_token_logprob, rows, one)?,
        p_top: output(&mut out.p_top, rows, one)?,
        q_top: output(&mut out.q_top, rows, one)?,
        status: output(&mut out.status, rows, one)?,
        ..Default::default()
    };
    let about_tokens = !(raw.p_token_logprob.is_null() && raw.q_token_logprob.is_null());
    require(!about_tokens || token.is_some(), "logprobs of tokens are wanted, but there are no tokens")?;
    let token = input(token, rows, "token has not one element for each row")?;
    check(unsafe { sys::lp_compare(&p.raw, &q.raw, token, &raw) })
}
