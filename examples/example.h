/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the examples share: logits that every process can make for itself, a clock, and a comparison bit by bit. */
#ifndef EXAMPLE_H
#define EXAMPLE_H
#define _POSIX_C_SOURCE 200809L
#include <logprob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TOP = 20 };

/* bell-shaped, with a deviation of 3 */
static inline float example_logit(size_t row, size_t id)
{
    uint64_t x = (uint64_t)row << 32 | id, sum = 0;
    for (int i = 0; i < 4; i++) {
        x = (x ^ x >> 31) * 0x9E3779B97F4A7C15U + 1;
        sum += x >> 40;
    }
    return ((float)sum * 0x1p-24F - 2) * 5;
}

typedef struct example_result {
    float logsumexp, entropy, token_logprob, top_logprob[TOP];
    int32_t top_token[TOP];
} example_result;

static inline void example_score(const lp_logits *in, int32_t token, example_result *out)
{
    const lp_scores want = {.logsumexp = &out->logsumexp,
                            .entropy = &out->entropy,
                            .token_logprob = &out->token_logprob,
                            .top_logprob = out->top_logprob,
                            .top_token = out->top_token};
    if (lp_score(in, &token, TOP, &want) != LP_OK) {
        abort();
    }
}

static inline void example_finish(const lp_stream *state, example_result *out)
{
    lp_row row;
    if (lp_stream_finish(state, &row, out->top_logprob, out->top_token) != LP_OK) {
        abort();
    }
    out->logsumexp = row.logsumexp;
    out->entropy = row.entropy;
    out->token_logprob = row.token_logprob;
}

static inline void *example_memory(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (p == NULL) {
        abort();
    }
    return p;
}

static inline double example_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}
#endif
