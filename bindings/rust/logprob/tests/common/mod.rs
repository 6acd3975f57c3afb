// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows that any language can make.
#![allow(dead_code)] // each test binary uses a part

pub const ROWS: usize = 3;
pub const VOCAB: usize = 5000;

/// Multiples of 2^-19 between -16 and 16: those of bindings/golden.c.
pub fn golden_logits() -> Vec<f32> {
    let mut state: u64 = 1;
    let next = move |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((state >> 40) as i32 - (1 << 23)) as f32 / 524288.0
    };
    (0..ROWS * VOCAB).map(next).collect()
}

/// The upper halves of floats: bfloat16.
pub fn bf16(x: &[f32]) -> Vec<u16> {
    x.iter().map(|x| (x.to_bits() >> 16) as u16).collect()
}

pub fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|x| x.to_bits()).collect()
}
