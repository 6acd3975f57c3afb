// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be said from the k logprobs that an API returned.
use crate::error::{check, require};
use crate::Result;
use logprob_sys as sys;
use std::ptr;

/// How much of the whole a partial set holds: kept + tail = 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Mass {
    pub log_kept: f64,
    pub kept: f64,
    pub tail: f64,
}

fn mass_and_maybe_set(logprob: &[f32], out: *mut f32) -> Result<Mass> {
    let mut mass = sys::lp_mass::default();
    check(unsafe { sys::lp_renormalize(logprob.as_ptr(), logprob.len(), out, &mut mass) })?;
    Ok(Mass { log_kept: mass.log_kept, kept: mass.kept, tail: mass.tail })
}

/// The mass of a set of logprobs.
pub fn mass(logprob: &[f32]) -> Result<Mass> {
    mass_and_maybe_set(logprob, ptr::null_mut())
}

/// The set renormalised so that it sums to 1, and the mass that it had.
pub fn renormalize_into(logprob: &[f32], out: &mut [f32]) -> Result<Mass> {
    require(out.len() == logprob.len(), "out and logprob have different lengths")?;
    mass_and_maybe_set(logprob, out.as_mut_ptr())
}

/// Pools entries that mean the same: the logprob of each of `labels` labels. `label[i]` below 0: entry i has none.
pub fn label_logprob(logprob: &[f32], label: &[i32], labels: usize) -> Result<Vec<f32>> {
    require(label.len() == logprob.len(), "label and logprob have different lengths")?;
    let mut out = vec![0.0; labels];
    check(unsafe { sys::lp_label_logprob(logprob.as_ptr(), label.as_ptr(), label.len(), labels, out.as_mut_ptr()) })?;
    Ok(out)
}

/// Sharp bounds of the entropy of a whole distribution over `vocab` tokens of which the largest logprobs are given.
pub fn partial_entropy(logprob: &[f32], vocab: usize) -> Result<(f64, f64)> {
    let (mut lower, mut upper) = (0.0, 0.0);
    check(unsafe { sys::lp_partial_entropy(logprob.as_ptr(), logprob.len(), vocab, &mut lower, &mut upper) })?;
    Ok((lower, upper))
}

/// Probabilities: e^logprob, 0.5 ulp.
pub fn exp_into(logprob: &[f32], out: &mut [f32]) -> Result<()> {
    require(out.len() == logprob.len(), "out and logprob have different lengths")?;
    check(unsafe { sys::lp_exp(logprob.as_ptr(), logprob.len(), out.as_mut_ptr()) })
}
