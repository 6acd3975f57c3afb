// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rows: layouts, forms, buffers, and what is wrong with them.
mod common;
use common::*;
use logprob::*;

/// ln of the sum of e^x, in double.
fn reference(x: &[f32]) -> f64 {
    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max) as f64;
    max + x.iter().map(|&x| (x as f64 - max).exp()).sum::<f64>().ln()
}

#[test]
fn against_double() {
    let x = golden_logits();
    let logits = Logits::new(&x, VOCAB).unwrap();
    let (sums, dense) = (logsumexp(&logits).unwrap(), log_softmax(&logits).unwrap());
    for (row, &sum) in sums.iter().enumerate() {
        let x = &x[row * VOCAB..(row + 1) * VOCAB];
        let want = reference(x);
        assert!((sum as f64 - want).abs() <= want.abs() * 2.0f64.powi(-24) + 2.8e-7, "{sum} {want}");
        for (&x, &got) in x.iter().zip(&dense[row * VOCAB..]) {
            let want = x as f64 - want;
            assert!((got as f64 - want).abs() <= 1.25 * 2.0f64.powi(-23) * want.abs() + 2.8e-7, "{got} {want}");
        }
    }
}

#[test]
fn strides_do_not_matter() {
    let x = golden_logits();
    let want = Logits::new(&x, VOCAB).unwrap();
    let stride = VOCAB + 7;
    let mut wide = vec![f32::NAN; 2 * stride + VOCAB];
    for row in 0..ROWS {
        wide[row * stride..][..VOCAB].copy_from_slice(&x[row * VOCAB..][..VOCAB]);
    }
    let logits = Logits::strided(&wide, ROWS, VOCAB, stride).unwrap();
    assert_eq!((logits.rows(), logits.vocab()), (ROWS, VOCAB));
    assert_eq!(score(&logits, &[1, 2, 3], 5).unwrap(), score(&want, &[1, 2, 3], 5).unwrap());
    let mut out = vec![7.0; 2 * stride + VOCAB];
    log_softmax_into(&logits, &mut out, stride).unwrap();
    let dense = log_softmax(&want).unwrap();
    for row in 0..ROWS {
        assert_eq!(bits(&out[row * stride..][..VOCAB]), bits(&dense[row * VOCAB..][..VOCAB]));
    }
    assert_eq!(out.iter().filter(|&&x| x == 7.0).count(), 14);
    let mut in_place = x.clone();
    log_softmax_in_place(&mut in_place, VOCAB).unwrap();
    assert_eq!(bits(&in_place), bits(&dense));
}

#[test]
fn forms() {
    let x = [1.0f32, -2.0, 3.0, 70.0];
    let transformed = |logits: Logits| {
        let mut out = [0.0; 4];
        transform_into(&logits, &mut out, logits.vocab()).unwrap();
        out
    };
    let plain = Logits::new(&x, 2).unwrap();
    assert_eq!(transformed(plain.inv_temperature(0.5).unwrap()), [0.5, -1.0, 1.5, 35.0]);
    assert_eq!(transformed(plain.row_inv_temperature(&[2.0, 0.5]).unwrap()), [2.0, -4.0, 1.5, 35.0]);
    assert_eq!(transformed(plain.allowed(&[2, 0, 1], 2).unwrap()), [f32::NEG_INFINITY, -2.0, 3.0, f32::NEG_INFINITY]);
    let half = bf16(&x);
    assert_eq!(transformed(Logits::new(Data::Bf16(&half), 4).unwrap()), [1.0, -2.0, 3.0, 70.0]);
    assert_eq!(transformed(Logits::row(Data::F16(&[0x3c00, 0xc000, 0x4200, 0x5460])).unwrap()), x);
    let capped = transformed(plain.softcap(10.0).unwrap());
    assert!((capped[3] as f64 - 10.0 * 7.0f64.tanh()).abs() < 4e-6 && capped[3] <= 10.0);
}

#[test]
fn scores() {
    let x = golden_logits();
    let logits = Logits::new(&x, VOCAB).unwrap();
    let token = [5, 6, -1, 7, 0, 4999];
    let all = score(&logits, &token, 3).unwrap();
    assert_eq!(all.logsumexp, logsumexp(&logits).unwrap());
    assert_eq!(bits(&all.token_logprob), bits(&gather(&logits, &token).unwrap()));
    assert!(all.token_logprob[2].is_nan() && all.token_rank[1] == 0);
    assert_eq!((all.top_logprob.clone(), all.top_token.clone()), topk(&logits, 3).unwrap());
    let row = &x[..VOCAB];
    assert_eq!(all.token_rank[0] as usize, 1 + row.iter().filter(|&&x| x > row[5]).count());
    let best: Vec<_> = all.top(2).collect();
    assert_eq!(
        best,
        topk(&Logits::row(&x[2 * VOCAB..]).unwrap(), 3).map(|(l, t)| l.into_iter().zip(t).collect::<Vec<_>>()).unwrap()
    );
    let none = score(&logits, &[], 0).unwrap();
    assert_eq!((none.entropy, none.token_logprob.len(), none.token_rank.len()), (all.entropy, 0, 0));
}

#[test]
fn bad_rows_leave_the_others() {
    let mut x = golden_logits();
    let good = logsumexp(&Logits::new(&x, VOCAB).unwrap()).unwrap();
    x[VOCAB + 9] = f32::NAN;
    let logits = Logits::new(&x, VOCAB).unwrap();
    let error = logsumexp(&logits).unwrap_err();
    assert_eq!((error.status, error.to_string().as_str()), (Status::Nan, "a logit is NaN"));
    assert!(error.status.is_of_row());
    let (mut out, mut status) = ([0.0; ROWS], [9; ROWS]);
    let buffers = ScoreBuffers { logsumexp: Some(&mut out), status: Some(&mut status), ..Default::default() };
    assert_eq!(score_into(&logits, &[], 0, buffers).unwrap_err().status, Status::Nan);
    assert_eq!((out[0], out[2], out[1].is_nan()), (good[0], good[2], true));
    assert_eq!(status.map(Status::from), [Status::Ok, Status::Nan, Status::Ok]);
    assert_eq!(gather(&logits, &[0, -1, VOCAB as i32]).unwrap_err().status, Status::Nan);
    let empty = logsumexp(&Logits::row(&[]).unwrap()).unwrap_err();
    assert_eq!(empty.status, Status::Empty);
}

#[test]
fn slices_that_are_too_short_are_refused() {
    let x = [0.0f32; 12];
    let logits = Logits::new(&x, 4).unwrap();
    let (mut three, mut four) = ([0.0f32; 3], [0.0f32; 4]);
    let refused = |result: Result<()>, what: &str| {
        let error = result.unwrap_err();
        assert_eq!(error.status, Status::Arg);
        assert_eq!(error.to_string(), format!("invalid argument: {what}"));
    };
    fn nothing<T>(_: T) {}
    refused(Logits::new(&x, 5).map(nothing), "data is no whole number of rows of vocab elements");
    refused(Logits::new(&x, 0).map(nothing), "data is no whole number of rows of vocab elements");
    refused(Logits::strided(&x, 3, 4, 5).map(nothing), "data ends before the last row");
    refused(Logits::strided(&x, usize::MAX, 2, 4).map(nothing), "a size overflows");
    refused(Logits::strided(&x, 3, 4, 3).map(nothing), "stride is below vocab");
    refused(logits.allowed(&[0; 2], 1).map(nothing), "the mask ends before the last row");
    refused(logits.allowed(&[0; 3], 0).map(nothing), "the stride of the mask is below vocab / 32");
    refused(logits.row_inv_temperature(&[1.0]).map(nothing), "row_inv_temperature has not one element for each row");
    refused(logits.inv_temperature(f32::NAN).map(nothing), "inv_temperature is not a finite number from 0 on");
    refused(logits.softcap(-1.0).map(nothing), "softcap is not a finite number from 0 on");
    refused(logsumexp_into(&logits, &mut four), "out has not one element for each row");
    refused(log_softmax_into(&logits, &mut four, 4), "the output ends before the last row");
    refused(log_softmax_into(&logits, &mut four, 3), "stride of the output is below vocab");
    refused(topk_into(&logits, 1, &mut three, &mut [0; 4]), "logprob or token has not k elements for each row");
    refused(gather_into(&logits, &[0; 3], &mut four), "out and token have different lengths");
    refused(gather_into(&logits, &[0; 4], &mut four), "token has not the same number of elements for each row");
    let scores = |out: ScoreBuffers, token: &[i32]| score_into(&logits, token, 0, out);
    refused(
        scores(ScoreBuffers { token_logprob: Some(&mut three), ..Default::default() }, &[]),
        "token_logprob has not one element for each token",
    );
    refused(
        scores(ScoreBuffers { token_rank: Some(&mut [0; 3]), ..Default::default() }, &[]),
        "outputs about tokens are wanted, but there are no tokens",
    );
    refused(
        scores(ScoreBuffers { top_token: Some(&mut []), ..Default::default() }, &[]),
        "top_logprob and top_token: both or neither",
    );
    refused(sequence_sum(&three, None, &[0, 2, 1]).map(nothing), "offset decreases");
    refused(sequence_sum(&three, None, &[0, 4]).map(nothing), "offset is empty, or ends behind the last row");
    refused(sequence_sum(&three, None, &[]).map(nothing), "offset is empty, or ends behind the last row");
    refused(sequence_sum(&three, Some(&[true]), &[0, 1]).map(nothing), "keep has not one element for each row");
    refused(compare(&logits, &Logits::new(&x, 6).unwrap()).map(nothing), "p and q have different shapes");
}
