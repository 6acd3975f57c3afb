/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The rows of a batch on a server's own threads: tasks that share nothing but their input. Checks every result against one
 * serial call, bit for bit. Shown in docs/embedding.md. */
#include "example.h"
#include <pthread.h>
#include <stdatomic.h>

enum { ROWS = 24, VOCAB = 9001, THREADS = 4 };

typedef struct batch {
    lp_logits in;
    const int32_t *chosen;
    example_result *out;
    atomic_size_t next;
} batch;

/* one task: a row. No context to create, no lock, no warm-up: the first call of any thread chooses the kernels. */
static void score_one(const batch *b, size_t row)
{
    lp_logits in = b->in;
    in.data = (const float *)b->in.data + row * b->in.stride;
    in.rows = 1;
    if (b->in.allowed != NULL) { /* what has rows of its own moves along */
        in.allowed = b->in.allowed + row * b->in.allowed_stride;
    }
    if (b->in.row_inv_temperature != NULL) {
        in.row_inv_temperature = b->in.row_inv_temperature + row;
    }
    example_score(&in, b->chosen[row], &b->out[row]);
}

/* what a thread of the pool does until the batch is done */
static void *work(void *task)
{
    batch *b = task;
    for (size_t row; (row = atomic_fetch_add(&b->next, 1)) < b->in.rows;) {
        score_one(b, row);
    }
    return NULL;
}

int main(void)
{
    enum { WORDS = (VOCAB + 31) / 32 };
    float *logits = example_memory((size_t)ROWS * VOCAB, sizeof *logits), inv_temperature[ROWS];
    uint32_t *allowed = example_memory((size_t)ROWS * WORDS, sizeof *allowed);
    int32_t chosen[ROWS];
    for (size_t row = 0; row < ROWS; row++) {
        for (size_t i = 0; i < VOCAB; i++) {
            logits[row * VOCAB + i] = example_logit(row, i);
        }
        memset(allowed + row * WORDS, row % 2 == 0 ? 0xFF : 0xBD, WORDS * sizeof *allowed);
        inv_temperature[row] = 1 + (float)row / 8;
        chosen[row] = (int32_t)(row * 16);
    }
    example_result *parallel = example_memory(ROWS, sizeof *parallel), *serial = example_memory(ROWS, sizeof *serial);
    batch b = {.in = {.data = logits,
                      .rows = ROWS,
                      .vocab = VOCAB,
                      .stride = VOCAB,
                      .allowed = allowed,
                      .allowed_stride = WORDS,
                      .row_inv_temperature = inv_temperature},
               .chosen = chosen,
               .out = parallel};
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&thread[i], NULL, work, &b) != 0) {
            return EXIT_FAILURE;
        }
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
    }
    float logsumexp[ROWS];
    if (lp_logsumexp(&b.in, logsumexp) != LP_OK) {
        return EXIT_FAILURE;
    }
    b.out = serial;
    for (size_t row = 0; row < ROWS; row++) {
        score_one(&b, row);
        if (memcmp(&serial[row], &parallel[row], sizeof serial[row]) != 0 ||
            memcmp(&logsumexp[row], &parallel[row].logsumexp, sizeof(float)) != 0) {
            fprintf(stderr, "row %zu: other bits\n", row);
            return EXIT_FAILURE;
        }
    }
    printf("%d rows on %d threads: the bits of one call\n", (int)ROWS, (int)THREADS);
    free(logits);
    free(allowed);
    free(parallel);
    free(serial);
    return EXIT_SUCCESS;
}
