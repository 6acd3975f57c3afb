// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bits are those that C gets.
mod common;
use common::*;
use logprob::*;
use std::collections::BTreeMap;

fn digest(bytes: impl Iterator<Item = u8>) -> String {
    let hash = bytes.fold(0xcbf29ce484222325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100000001b3));
    format!("{hash:016x}")
}

fn of_f32(x: &[f32]) -> String {
    digest(x.iter().flat_map(|x| x.to_ne_bytes()))
}

fn of_f64(x: &[f64]) -> String {
    digest(x.iter().flat_map(|x| x.to_ne_bytes()))
}

fn of_i32(x: &[i32]) -> String {
    digest(x.iter().flat_map(|x| x.to_ne_bytes()))
}

fn results() -> Result<BTreeMap<&'static str, String>> {
    let x = golden_logits();
    let logits = Logits::new(&x, VOCAB)?;
    let token = [17, 4999, 0];
    let (top_logprob, top_token) = topk(&logits, 50)?;
    let (p, q) = (Logits::row(&x[..VOCAB])?, Logits::row(&x[VOCAB..2 * VOCAB])?);
    let divergence = compare(&p, &q)?;
    let mut part = [0.0; 50];
    let mass = renormalize_into(&top_logprob[..50], &mut part)?;
    let half = bf16(&x);
    let form = Logits::new(Data::Bf16(&half), VOCAB)?.softcap(30.0)?.inv_temperature(0.5)?;
    Ok(BTreeMap::from([
        ("logsumexp", of_f32(&logsumexp(&logits)?)),
        ("entropy", of_f32(&entropy(&logits)?)),
        ("log_softmax", of_f32(&log_softmax(&logits)?)),
        ("topk_logprob", of_f32(&top_logprob)),
        ("topk_token", of_i32(&top_token)),
        ("gather", of_f32(&gather(&logits, &token)?)),
        ("token_rank", of_i32(&score(&logits, &token, 0)?.token_rank)),
        ("compare", of_f64(&[divergence.kl[0], divergence.reverse_kl[0]])),
        ("sequence_score", of_f64(&[sequence_score(&logits, &token, None, &[0, ROWS])?[0].logprob])),
        ("renormalize", of_f32(&part)),
        ("tail", of_f64(&[mass.tail])),
        ("bf16", of_f32(&logsumexp(&form)?)),
    ]))
}

#[test]
fn bits_are_those_of_c_on_every_isa() {
    let text = include_str!("../../../golden.txt");
    let want: BTreeMap<&str, String> =
        text.lines().map(|l| l.split_once(' ').unwrap()).map(|(n, d)| (n, d.into())).collect();
    let before = isa();
    for each in [Isa::Scalar, Isa::Avx2, Isa::Avx512, Isa::Neon] {
        if supported(each) {
            select_isa(each).unwrap();
            assert_eq!(isa(), each);
            assert_eq!(results().unwrap(), want, "{}", each.name());
        } else {
            assert_eq!(select_isa(each).unwrap_err().status, Status::Isa);
        }
    }
    select_isa(before).unwrap();
}

#[test]
fn version_is_that_of_the_crate() {
    assert_eq!(version(), env!("CARGO_PKG_VERSION"));
}
