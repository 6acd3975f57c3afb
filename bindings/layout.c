/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What C says of the structs: "struct member offset size" for each member, and the size of the whole as member ".". The
 * tests of the bindings compile this and compare. */
#include <logprob.h>
#include <stdio.h>

#define MEMBER(type, member) printf(#type " " #member " %zu %zu\n", offsetof(type, member), sizeof(((type *)0)->member))

static void layout_of_arguments(void)
{
    MEMBER(lp_logits, data);
    MEMBER(lp_logits, rows);
    MEMBER(lp_logits, vocab);
    MEMBER(lp_logits, stride);
    MEMBER(lp_logits, allowed);
    MEMBER(lp_logits, allowed_stride);
    MEMBER(lp_logits, row_inv_temperature);
    MEMBER(lp_logits, dtype);
    MEMBER(lp_logits, inv_temperature);
    MEMBER(lp_logits, softcap);
    MEMBER(lp_logits, flags);
    MEMBER(lp_logits, reserved);
    MEMBER(lp_scores, logsumexp);
    MEMBER(lp_scores, entropy);
    MEMBER(lp_scores, max_logit);
    MEMBER(lp_scores, log_norm);
    MEMBER(lp_scores, tokens_per_row);
    MEMBER(lp_scores, token_logprob);
    MEMBER(lp_scores, token_rank);
    MEMBER(lp_scores, token_rank_ties);
    MEMBER(lp_scores, top_logprob);
    MEMBER(lp_scores, top_token);
    MEMBER(lp_scores, top_stride);
    MEMBER(lp_scores, status);
    MEMBER(lp_scores, reserved);
}

static void layout_of_results(void)
{
    MEMBER(lp_row, logsumexp);
    MEMBER(lp_row, entropy);
    MEMBER(lp_row, max_logit);
    MEMBER(lp_row, log_norm);
    MEMBER(lp_row, token_logprob);
    MEMBER(lp_row, status);
    MEMBER(lp_row, count);
    MEMBER(lp_row, reserved);
    MEMBER(lp_mass, log_kept);
    MEMBER(lp_mass, kept);
    MEMBER(lp_mass, tail);
    MEMBER(lp_mass, reserved);
    MEMBER(lp_sequence, logprob);
    MEMBER(lp_sequence, mean);
    MEMBER(lp_sequence, perplexity);
    MEMBER(lp_sequence, tokens);
    MEMBER(lp_sequence, argmin);
    MEMBER(lp_sequence, min);
    MEMBER(lp_sequence, greedy);
    MEMBER(lp_sequence, status);
    MEMBER(lp_sequence, reserved);
    MEMBER(lp_divergence, kl);
    MEMBER(lp_divergence, reverse_kl);
    MEMBER(lp_divergence, cross_entropy);
    MEMBER(lp_divergence, max_abs_diff);
    MEMBER(lp_divergence, p_token_logprob);
    MEMBER(lp_divergence, q_token_logprob);
    MEMBER(lp_divergence, p_top);
    MEMBER(lp_divergence, q_top);
    MEMBER(lp_divergence, status);
    MEMBER(lp_divergence, reserved);
}

int main(void)
{
    layout_of_arguments();
    layout_of_results();
    printf("lp_logits . 0 %zu\nlp_scores . 0 %zu\n", sizeof(lp_logits), sizeof(lp_scores));
    printf("lp_row . 0 %zu\nlp_mass . 0 %zu\n", sizeof(lp_row), sizeof(lp_mass));
    printf("lp_sequence . 0 %zu\nlp_divergence . 0 %zu\n", sizeof(lp_sequence), sizeof(lp_divergence));
    printf("stream_size . 0 %zu\n", LP_STREAM_SIZE(20));
    return 0;
}
