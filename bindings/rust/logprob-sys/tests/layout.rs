// SPDX-License-Identifier: MIT OR Apache-2.0
//! The structs are those of the header, as a C compiler sees it.
use logprob_sys::*;
use std::collections::BTreeSet;
use std::mem::{size_of, MaybeUninit};
use std::path::Path;
use std::process::Command;

fn size_of_target<T>(_: *const T) -> usize {
    size_of::<T>()
}

macro_rules! layout {
    ($lines:ident, $type:ident: $($member:ident)*) => {
        $lines.insert(format!("{} . 0 {}", stringify!($type), size_of::<$type>()));
        $(
            let whole = MaybeUninit::<$type>::uninit();
            let member = unsafe { std::ptr::addr_of!((*whole.as_ptr()).$member) };
            let offset = member as usize - whole.as_ptr() as usize;
            $lines.insert(format!("{} {} {offset} {}", stringify!($type), stringify!($member), size_of_target(member)));
        )*
    };
}

fn ours() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    layout!(lines, lp_logits: data rows vocab stride allowed allowed_stride row_inv_temperature dtype inv_temperature
        softcap flags reserved);
    layout!(lines, lp_scores: logsumexp entropy max_logit log_norm tokens_per_row token_logprob token_rank
        token_rank_ties top_logprob top_token top_stride status reserved);
    layout!(lines, lp_row: logsumexp entropy max_logit log_norm token_logprob status count reserved);
    layout!(lines, lp_mass: log_kept kept tail reserved);
    layout!(lines, lp_sequence: logprob mean perplexity tokens argmin min greedy status reserved);
    layout!(lines, lp_divergence: kl reverse_kl cross_entropy max_abs_diff p_token_logprob q_token_logprob p_top q_top
        status reserved);
    lines.insert(format!("stream_size . 0 {}", unsafe { lp_stream_size(20) }));
    lines
}

#[test]
fn structs_are_those_of_c() {
    let bindings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let compiled = Command::new(compiler)
        .arg("-I")
        .arg(bindings.join("../include"))
        .arg(bindings.join("layout.c"))
        .arg("-o")
        .arg(&program)
        .status();
    assert!(compiled.unwrap().success());
    let said = String::from_utf8(Command::new(program).output().unwrap().stdout).unwrap();
    assert_eq!(ours(), said.lines().map(String::from).collect());
}
