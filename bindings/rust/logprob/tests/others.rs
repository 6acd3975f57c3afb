// SPDX-License-Identifier: MIT OR Apache-2.0
//! Streams, sequences, comparisons, partial sets.
mod common;
use common::*;
use logprob::*;

fn assert_whole(row: &Row, x: &[f32], token: i32, k: usize) {
    let want = score(&Logits::row(x).unwrap(), &[token], k).unwrap();
    assert_eq!(row.count, x.len() as u64);
    assert_eq!((row.logsumexp, row.entropy), (want.logsumexp[0], want.entropy[0]));
    assert_eq!(row.token_logprob, want.token_logprob[0]);
    assert_eq!((&row.top_logprob, &row.top_token), (&want.top_logprob, &want.top_token));
}

#[test]
fn chunks_and_shards() {
    let x = golden_logits();
    let mut stream = Stream::new(20, 0, Some(7777)).unwrap();
    for chunk in x.chunks(999) {
        stream.push(&Logits::row(chunk).unwrap()).unwrap();
    }
    assert_whole(&stream.finish().unwrap(), &x, 7777, 20);
    let shard = |from: usize, to: usize| {
        let mut shard = Stream::new(20, from as i32, Some(7777)).unwrap();
        shard.push(&Logits::row(&x[from..to]).unwrap()).unwrap();
        Stream::from_bytes(shard.as_bytes()).unwrap()
    };
    let mut all = shard(9001, x.len());
    all.merge(&shard(0, 5000)).unwrap();
    all.merge(&shard(5000, 9001)).unwrap();
    assert_whole(&all.finish().unwrap(), &x, 7777, 20);
    assert_eq!(all.push(&Logits::row(&x[..1]).unwrap()).unwrap_err().status, Status::State);
    let before = all.as_bytes().to_vec();
    assert_eq!(all.merge(&shard(0, 1)).unwrap_err().status, Status::State);
    assert_eq!(all.as_bytes(), before);
}

#[test]
fn damaged_streams() {
    let x = golden_logits();
    let mut stream = Stream::new(20, 0, None).unwrap();
    assert_eq!(stream.finish().unwrap_err().status, Status::Empty);
    stream.push(&Logits::row(&x[..3000]).unwrap()).unwrap();
    let bytes = stream.as_bytes();
    for at in [0, 30, 33, 39, 200, 515, 700, bytes.len() - 1] {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        assert_eq!(Stream::from_bytes(&changed).unwrap_err().status, Status::State, "{at}");
    }
    let longer = [bytes, &[0]].concat();
    for wrong in [&bytes[..0], &bytes[..600], &longer, &vec![0; bytes.len()]] {
        assert_eq!(Stream::from_bytes(wrong).unwrap_err().status, Status::State);
    }
    assert_eq!(Stream::new(usize::MAX / 8, 0, None).unwrap_err().status, Status::Arg);
    assert_eq!(Stream::new(0, -1, None).unwrap_err().status, Status::Arg);
    let two = Logits::new(&x, VOCAB).unwrap();
    assert_eq!(stream.push(&two).unwrap_err().status, Status::Arg);
}

#[test]
fn sequences() {
    let x = golden_logits();
    let logits = Logits::new(&x, VOCAB).unwrap();
    let (_, best) = topk(&logits, 1).unwrap();
    let token = [best[0], best[1], 0];
    let logprob = gather(&logits, &token).unwrap();
    let mut out = [Sequence::default(); 2];
    let mut kept = [0.0; 3];
    sequence_score_into(&logits, &token, Some(&[true, false, true]), &[0, 2, 3], &mut out, Some(&mut kept)).unwrap();
    assert_eq!((out[0].tokens, out[0].greedy, out[1].greedy, out[1].argmin), (1, 1, 0, 2));
    assert_eq!((out[0].logprob, out[1].min), (f64::from(logprob[0]), logprob[2]));
    assert!(kept[1].is_nan() && kept[2] == logprob[2]);
    let sum = sequence_sum(&logprob, None, &[0, 0, 3]).unwrap();
    assert_eq!((sum[0].tokens, sum[1].tokens, sum[1].greedy), (0, 3, -1));
    assert_eq!(sum[1].logprob, sequence_score(&logits, &token, None, &[0, 3]).unwrap()[0].logprob);
    let bad = sequence_score(&logits, &[0, 5000, 0], None, &[0, 3]).unwrap_err();
    assert_eq!(bad.status, Status::Token);
}

#[test]
fn comparisons() {
    let x = golden_logits();
    let (p, q) = (Logits::row(&x[..VOCAB]).unwrap(), Logits::row(&x[VOCAB..2 * VOCAB]).unwrap());
    let (a, b) = (log_softmax(&p).unwrap(), log_softmax(&q).unwrap());
    let kl: f64 = a.iter().zip(&b).map(|(&a, &b)| f64::from(a).exp() * (f64::from(a) - f64::from(b))).sum();
    let d = compare(&p, &q).unwrap();
    assert!((d.kl[0] - kl).abs() < 1e-5 * kl, "{} {kl}", d.kl[0]);
    assert_eq!(d.p_top, topk(&p, 1).unwrap().1);
    assert_eq!(compare(&p, &p).unwrap().kl, [0.0]);
    let mut of_token = [0.0];
    let out = DivergenceBuffers { q_token_logprob: Some(&mut of_token), ..Default::default() };
    compare_into(&p, &q, Some(&[4]), out).unwrap();
    assert_eq!(of_token[0], b[4]);
    let out = DivergenceBuffers { q_token_logprob: Some(&mut of_token), ..Default::default() };
    assert_eq!(compare_into(&p, &q, None, out).unwrap_err().status, Status::Arg);
}

#[test]
fn partial_sets() {
    let logprob = [0.5f32.ln(), 0.25f32.ln(), 0.125f32.ln()];
    let mut out = [0.0; 3];
    let whole = renormalize_into(&logprob, &mut out).unwrap();
    assert_eq!(mass(&logprob).unwrap(), whole);
    assert!((whole.kept - 0.875).abs() < 1e-7 && (whole.kept + whole.tail - 1.0).abs() < 1e-15);
    exp_into(&out.clone(), &mut out).unwrap();
    assert!((out[0] - 4.0 / 7.0).abs() < 1e-7 && (out.iter().sum::<f32>() - 1.0).abs() < 2e-7);
    let labels = label_logprob(&logprob, &[1, -1, 1], 3).unwrap();
    assert_eq!((labels[0], labels[2]), (f32::NEG_INFINITY, f32::NEG_INFINITY));
    assert!((labels[1] - 0.625f32.ln()).abs() < 1e-7);
    let (lower, upper) = partial_entropy(&logprob, 4).unwrap();
    let exact = 1.75 * std::f64::consts::LN_2;
    assert!(lower <= exact && exact <= upper && upper - lower < 1e-5, "{lower} {upper}");
    assert_eq!(label_logprob(&logprob, &[0, 0, 3], 3).unwrap_err().status, Status::Arg);
    assert_eq!(mass(&[0.1]).unwrap_err().status, Status::Arg);
    assert_eq!(mass(&[]).unwrap_err().status, Status::Empty);
}
