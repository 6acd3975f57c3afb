/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Logprobs of a prompt: what evals ask for (loglikelihood and is_greedy of each continuation), from all rows at once and from
 * the pieces in which a prompt is processed. Checks that both give the same bits. Shown in docs/embedding.md. */
#include "example.h"

enum { VOCAB = 4001, CONTEXT = 20, CHOICES = 3, LENGTH = 4, T = CONTEXT + LENGTH, PIECE = 7 };

/* Row t holds the logits after token t, so it predicts token t + 1. The last row predicts what is not there: -1, not kept. */
static void shift(const int32_t *prompt, size_t n, int32_t *target)
{
    memcpy(target, prompt + 1, (n - 1) * sizeof *target);
    target[n - 1] = -1;
}

/* loglikelihood and is_greedy of the tokens from `context` on: one read of the rows that predict them, none of the others */
static lp_status continuation(const lp_logits *in, const int32_t *prompt, size_t context, lp_sequence *out)
{
    int32_t target[T];
    const size_t offset[2] = {context - 1, in->rows};
    shift(prompt, in->rows, target);
    return lp_sequence_score(in, target, NULL, offset, 1, out, NULL);
}

/* The same where the rows come in pieces and are gone afterwards: keep two numbers of each. logprob[t] is that of prompt[t];
 * nothing predicts the first token, whose logprob servers send as null. */
static lp_status prompt_piece(const lp_logits *piece, size_t first, const int32_t *prompt, size_t n, float *logprob,
                              int32_t *best)
{
    int32_t target[PIECE];
    lp_logits in = *piece;
    in.rows = first + in.rows < n ? in.rows : n - 1 - first; /* the last row predicts nothing */
    memcpy(target, prompt + first + 1, in.rows * sizeof *target);
    float best_logprob[PIECE];
    const lp_scores out = {
        .token_logprob = logprob + first + 1, .top_token = best + first + 1, .top_logprob = best_logprob};
    return lp_score(&in, target, 1, &out);
}

static int same_from_pieces(const float *logits, const int32_t *prompt, const lp_sequence *want)
{
    float logprob[T] = {0};
    int32_t best[T] = {0}, greedy = 1;
    for (size_t first = 0; first < T; first += PIECE) {
        const size_t rows = T - first < PIECE ? T - first : PIECE;
        const lp_logits piece = {.data = logits + first * VOCAB, .rows = rows, .vocab = VOCAB};
        if (prompt_piece(&piece, first, prompt, T, logprob, best) != LP_OK) {
            return 0;
        }
    }
    const size_t offset[2] = {CONTEXT, T};
    lp_sequence got;
    if (lp_sequence_sum(logprob, NULL, offset, 1, &got) != LP_OK) {
        return 0;
    }
    for (size_t t = CONTEXT; t < T; t++) {
        greedy &= best[t] == prompt[t];
    }
    return memcmp(&got.logprob, &want->logprob, sizeof got.logprob) == 0 && greedy == want->greedy;
}

/* stands in for the model: the context has the same rows for each choice, and prefers the tokens of choice 1 */
static void run_model(const int32_t *prompt, int choice, float *logits)
{
    for (size_t t = 0; t < T; t++) {
        for (size_t i = 0; i < VOCAB; i++) {
            logits[t * VOCAB + i] = example_logit(t + (t < CONTEXT ? 0 : 100 * (size_t)choice), i);
        }
        if (choice == 1 && t + 1 < T) {
            logits[t * VOCAB + (size_t)prompt[t + 1]] += 20;
        }
    }
}

int main(void)
{
    float *logits = example_memory((size_t)T * VOCAB, sizeof *logits);
    for (int choice = 0; choice < CHOICES; choice++) {
        int32_t prompt[T];
        for (size_t t = 0; t < T; t++) {
            prompt[t] = (int32_t)((t * 97 + (t < CONTEXT ? 0 : 13 * (size_t)choice)) % VOCAB);
        }
        run_model(prompt, choice, logits);
        const lp_logits in = {.data = logits, .rows = T, .vocab = VOCAB};
        lp_sequence s;
        if (continuation(&in, prompt, CONTEXT, &s) != LP_OK || !same_from_pieces(logits, prompt, &s)) {
            return EXIT_FAILURE;
        }
        printf("choice %d: loglikelihood %.6f over %d tokens, is_greedy %s\n", choice, s.logprob, (int)s.tokens,
               s.greedy == 1 ? "true" : "false");
    }
    free(logits);
    return EXIT_SUCCESS;
}
