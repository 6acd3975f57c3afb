// SPDX-License-Identifier: MIT OR Apache-2.0
//! The logprob, rank and two best alternatives of each chosen token.
fn main() -> Result<(), logprob::Error> {
    let logits = [0.0, 3.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0f32]; // two rows of a vocabulary of 4: what the model gave
    let scores = logprob::score(&logprob::Logits::new(&logits, 4)?, &[3, 0], 2)?; // one read of each row
    println!("{:?} {:?} {:?}", scores.token_logprob, scores.token_rank, scores.top_token);
    Ok(())
}
