/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One long row on several threads: each pushes its part to a stream of its own, and the streams are merged. */
#include "example.h"
#include <omp.h>

typedef unsigned char state[LP_STREAM_SIZE(TOP)];

static void require(lp_status status)
{
    if (status != LP_OK) {
        fprintf(stderr, "%s\n", lp_status_string(status));
        abort();
    }
}

static void score_row(const lp_logits *in, int32_t token, int threads, state *states, example_result *out)
{
#pragma omp parallel num_threads(threads)
    {
        /* any bounds give the same bits; multiples of LP_BLOCK leave nothing to be copied */
        size_t blocks = in->vocab / LP_BLOCK + 1, me = (size_t)omp_get_thread_num(),
               all = (size_t)omp_get_num_threads();
        size_t first = blocks * me / all * LP_BLOCK, end = blocks * (me + 1) / all * LP_BLOCK;
        end = end < in->vocab ? end : in->vocab;
        lp_logits part = *in;
        part.data = (const float *)in->data + first;
        part.vocab = end - first;
        require(lp_stream_init(states[me], sizeof(state), TOP, (int32_t)first, token));
        require(lp_stream_push((lp_stream *)(void *)states[me], &part));
#pragma omp barrier
#pragma omp single
        for (size_t i = 1; i < all; i++) {
            require(lp_stream_merge((lp_stream *)(void *)states[0], (lp_stream *)(void *)states[i]));
        }
    }
    example_finish((lp_stream *)(void *)states[0], out);
}

int main(int argc, char **argv)
{
    int quick = argc > 1 && strcmp(argv[1], "--quick") == 0, runs = quick ? 2 : 1000, most = omp_get_num_procs();
    most = quick ? 4 : most;
    size_t vocab = quick ? 30001 : 1 << 20;
    int32_t token = (int32_t)vocab / 3;
    float *logits = example_memory(vocab, sizeof *logits);
    state *states = example_memory((size_t)most, sizeof *states);
    for (size_t i = 0; i < vocab; i++) {
        logits[i] = example_logit(0, i);
    }
    const lp_logits in = {.data = logits, .rows = 1, .vocab = vocab};
    example_result serial, parallel;
    double best[2] = {1e9, 1e9};
    for (int threads = 2; threads <= most; threads++) {
        best[1] = 1e9;
        for (int i = 0; i < runs; i++) {
            double start = example_seconds(), between;
            example_score(&in, token, &serial);
            between = example_seconds();
            score_row(&in, token, threads, states, &parallel);
            double took[2] = {between - start, example_seconds() - between};
            for (int j = 0; j < 2; j++) {
                best[j] = took[j] < best[j] ? took[j] : best[j];
            }
            if (memcmp(&serial, &parallel, sizeof serial) != 0) {
                fprintf(stderr, "%d threads give other bits than one call\n", threads);
                return EXIT_FAILURE;
            }
        }
        printf("a row of %zu: one call %.1f us, %d threads %.1f us, %.2f times as fast, same bits\n", vocab,
               best[0] * 1e6, threads, best[1] * 1e6, best[0] / best[1]);
    }
    free(logits);
    free(states);
    return EXIT_SUCCESS;
}
