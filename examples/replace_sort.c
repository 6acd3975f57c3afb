/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The most likely tokens of a row: by copying it to {id, logit, p}, sorting and a softmax, as servers do, and by one lp_score.
 * Checks that both name the same tokens; --time says how long they take. Shown in docs/embedding.md. */
#include "example.h"
#include <math.h>

enum { VOCAB = 128256, N = 10 };

typedef struct token_data {
    int32_t id;
    float logit, p;
} token_data;

static int by_logit(const void *a, const void *b)
{
    const token_data *x = a, *y = b;
    return x->logit != y->logit ? (x->logit < y->logit ? 1 : -1) : (x->id > y->id) - (x->id < y->id);
}

/* before: 1.5 MB are written, sorted and read again for ten tokens */
static void top_by_sort(const float *logits, token_data *all, int32_t *token, float *logprob)
{
    for (int32_t id = 0; id < VOCAB; id++) {
        all[id] = (token_data){id, logits[id], 0};
    }
    qsort(all, VOCAB, sizeof *all, by_logit);
    float sum = 0;
    for (size_t i = 0; i < VOCAB; i++) {
        all[i].p = expf(all[i].logit - all[0].logit);
        sum += all[i].p;
    }
    for (size_t i = 0; i < N; i++) {
        token[i] = all[i].id;
        logprob[i] = logf(all[i].p / sum);
    }
}

/* after: one read of the row, nothing else is written */
static lp_status top_by_score(const float *logits, int32_t *token, float *logprob)
{
    const lp_logits in = {.data = logits, .rows = 1, .vocab = VOCAB};
    const lp_scores out = {.top_token = token, .top_logprob = logprob};
    return lp_score(&in, NULL, N, &out);
}

int main(int argc, char **argv)
{
    const int runs = argc > 1 && strcmp(argv[1], "--time") == 0 ? 50 : 1;
    float *logits = example_memory(VOCAB, sizeof *logits), logprob[2][N];
    token_data *all = example_memory(VOCAB, sizeof *all);
    int32_t token[2][N];
    double best[2] = {1e9, 1e9};
    for (size_t i = 0; i < VOCAB; i++) {
        logits[i] = example_logit(0, i);
    }
    for (int run = 0; run < runs; run++) {
        double start = example_seconds(), between;
        top_by_sort(logits, all, token[0], logprob[0]);
        between = example_seconds();
        if (top_by_score(logits, token[1], logprob[1]) != LP_OK) {
            return EXIT_FAILURE;
        }
        const double took[2] = {between - start, example_seconds() - between};
        for (int i = 0; i < 2; i++) {
            best[i] = took[i] < best[i] ? took[i] : best[i];
        }
    }
    for (size_t i = 0; i < N; i++) {
        printf("%6d %.6f\n", (int)token[1][i], (double)logprob[1][i]);
        /* the float sum of the sorted row is off by 3e-4 */
        if (token[0][i] != token[1][i] || fabsf(logprob[0][i] - logprob[1][i]) > 1e-3F) {
            fprintf(stderr, "sorting gives %d %.6f\n", (int)token[0][i], (double)logprob[0][i]);
            return EXIT_FAILURE;
        }
    }
    if (runs > 1) {
        printf("sort and softmax %.0f us, lp_score %.1f us\n", best[0] * 1e6, best[1] * 1e6);
    }
    free(logits);
    free(all);
    return EXIT_SUCCESS;
}
