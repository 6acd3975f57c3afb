// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface of liblogprob, as include/logprob.h declares and documents it. The crate `logprob` is the safe one.
#![allow(non_camel_case_types)]
use std::os::raw::{c_char, c_int, c_void};

pub type lp_status = i32;
pub const LP_OK: lp_status = 0;
pub const LP_ERR_ARG: lp_status = 1;
pub const LP_ERR_TOKEN: lp_status = 2;
pub const LP_ERR_NAN: lp_status = 3;
pub const LP_ERR_INF: lp_status = 4;
pub const LP_ERR_EMPTY: lp_status = 5;
pub const LP_ERR_SPACE: lp_status = 6;
pub const LP_ERR_ISA: lp_status = 7;
pub const LP_ERR_STATE: lp_status = 8;

pub type lp_isa = i32;
pub const LP_ISA_SCALAR: lp_isa = 0;
pub const LP_ISA_AVX2: lp_isa = 1;
pub const LP_ISA_AVX512: lp_isa = 2;
pub const LP_ISA_NEON: lp_isa = 3;

pub type lp_dtype = i32;
pub const LP_F32: lp_dtype = 0;
pub const LP_BF16: lp_dtype = 1;
pub const LP_F16: lp_dtype = 2;

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lp_logits {
    pub data: *const c_void,
    pub rows: usize,
    pub vocab: usize,
    pub stride: usize,
    pub allowed: *const u32,
    pub allowed_stride: usize,
    pub row_inv_temperature: *const f32,
    pub dtype: lp_dtype,
    pub inv_temperature: f32,
    pub softcap: f32,
    pub flags: u32,
    pub reserved: [*const c_void; 3],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lp_scores {
    pub logsumexp: *mut f32,
    pub entropy: *mut f32,
    pub max_logit: *mut f32,
    pub log_norm: *mut f32,
    pub tokens_per_row: usize,
    pub token_logprob: *mut f32,
    pub token_rank: *mut i32,
    pub token_rank_ties: *mut i32,
    pub top_logprob: *mut f32,
    pub top_token: *mut i32,
    pub top_stride: usize,
    pub status: *mut lp_status,
    pub reserved: [*mut c_void; 4],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lp_row {
    pub logsumexp: f32,
    pub entropy: f32,
    pub max_logit: f32,
    pub log_norm: f32,
    pub token_logprob: f32,
    pub status: lp_status,
    pub count: u64,
    pub reserved: [u64; 4],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lp_mass {
    pub log_kept: f64,
    pub kept: f64,
    pub tail: f64,
    pub reserved: [f64; 2],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lp_sequence {
    pub logprob: f64,
    pub mean: f64,
    pub perplexity: f64,
    pub tokens: u64,
    pub argmin: u64,
    pub min: f32,
    pub greedy: i32,
    pub status: lp_status,
    pub reserved: [i32; 5],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct lp_divergence {
    pub kl: *mut f64,
    pub reverse_kl: *mut f64,
    pub cross_entropy: *mut f64,
    pub max_abs_diff: *mut f32,
    pub p_token_logprob: *mut f32,
    pub q_token_logprob: *mut f32,
    pub p_top: *mut i32,
    pub q_top: *mut i32,
    pub status: *mut lp_status,
    pub reserved: [*mut c_void; 4],
}

macro_rules! zeroed_by_default {
    ($($name:ident)*) => {$(
        impl Default for $name {
            fn default() -> Self {
                // All members are numbers and pointers, for which zeros are values, and what the header calls defaults.
                unsafe { std::mem::zeroed() }
            }
        }
    )*};
}
zeroed_by_default!(lp_logits lp_scores lp_row lp_mass lp_sequence lp_divergence);

#[repr(C)]
pub struct lp_stream {
    opaque: [u8; 0],
}

extern "C" {
    pub fn lp_status_string(status: lp_status) -> *const c_char;
    pub fn lp_version() -> *const c_char;
    pub fn lp_isa_active() -> lp_isa;
    pub fn lp_isa_supported(isa: lp_isa) -> c_int;
    pub fn lp_isa_select(isa: lp_isa) -> lp_status;
    pub fn lp_isa_name(isa: lp_isa) -> *const c_char;
    pub fn lp_transform(logits: *const lp_logits, out: *mut f32, out_stride: usize) -> lp_status;
    pub fn lp_logsumexp(logits: *const lp_logits, out: *mut f32) -> lp_status;
    pub fn lp_log_softmax(logits: *const lp_logits, out: *mut f32, out_stride: usize) -> lp_status;
    pub fn lp_entropy(logits: *const lp_logits, out: *mut f32) -> lp_status;
    pub fn lp_topk(logits: *const lp_logits, k: usize, logprob: *mut f32, token: *mut i32) -> lp_status;
    pub fn lp_gather(logits: *const lp_logits, token: *const i32, n: usize, logprob: *mut f32) -> lp_status;
    pub fn lp_score(logits: *const lp_logits, token: *const i32, k: usize, out: *const lp_scores) -> lp_status;
    pub fn lp_stream_size(k: usize) -> usize;
    pub fn lp_stream_init(memory: *mut c_void, bytes: usize, k: usize, first_token: i32, token: i32) -> lp_status;
    pub fn lp_stream_check(memory: *const c_void, bytes: usize) -> lp_status;
    pub fn lp_stream_used(stream: *const lp_stream) -> usize;
    pub fn lp_stream_push(stream: *mut lp_stream, chunk: *const lp_logits) -> lp_status;
    pub fn lp_stream_merge(into: *mut lp_stream, from: *const lp_stream) -> lp_status;
    pub fn lp_stream_finish(
        stream: *const lp_stream,
        row: *mut lp_row,
        top_logprob: *mut f32,
        top_token: *mut i32,
    ) -> lp_status;
    pub fn lp_renormalize(logprob: *const f32, n: usize, out: *mut f32, mass: *mut lp_mass) -> lp_status;
    pub fn lp_label_logprob(
        logprob: *const f32,
        label: *const i32,
        n: usize,
        labels: usize,
        out: *mut f32,
    ) -> lp_status;
    pub fn lp_partial_entropy(
        logprob: *const f32,
        n: usize,
        vocab: usize,
        lower: *mut f64,
        upper: *mut f64,
    ) -> lp_status;
    pub fn lp_exp(logprob: *const f32, n: usize, prob: *mut f32) -> lp_status;
    pub fn lp_sequence_sum(
        token_logprob: *const f32,
        keep: *const u8,
        offset: *const usize,
        n: usize,
        out: *mut lp_sequence,
    ) -> lp_status;
    pub fn lp_sequence_score(
        logits: *const lp_logits,
        token: *const i32,
        keep: *const u8,
        offset: *const usize,
        n: usize,
        out: *mut lp_sequence,
        token_logprob: *mut f32,
    ) -> lp_status;
    pub fn lp_compare(
        p: *const lp_logits,
        q: *const lp_logits,
        token: *const i32,
        out: *const lp_divergence,
    ) -> lp_status;
}
