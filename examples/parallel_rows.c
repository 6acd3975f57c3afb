/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Many rows on several threads: each row is a call of its own, and rows share nothing. */
#include "example.h"
#include <omp.h>

static void score_rows(const lp_logits *in, example_result *out, int threads)
{
    const size_t rows = in->rows;
#pragma omp parallel for num_threads(threads) schedule(dynamic)
    for (size_t i = 0; i < rows; i++) {
        lp_logits row = *in;
        row.data = (const float *)in->data + i * in->vocab;
        row.rows = 1;
        example_score(&row, (int32_t)(i * 7 % in->vocab), &out[i]);
    }
}

static double best_time(const lp_logits *in, example_result *out, int threads, int runs)
{
    double best = 1e9;
    for (int i = 0; i < runs; i++) {
        double start = example_seconds();
        score_rows(in, out, threads);
        double took = example_seconds() - start;
        best = took < best ? took : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    int quick = argc > 1 && strcmp(argv[1], "--quick") == 0, runs = quick ? 1 : 300, most = omp_get_num_procs();
    size_t rows = quick ? 6 : 64, vocab = quick ? 9001 : 128256;
    float *logits = example_memory(rows * vocab, sizeof *logits);
    for (size_t i = 0; i < rows * vocab; i++) {
        logits[i] = example_logit(i / vocab, i % vocab);
    }
    const lp_logits in = {.data = logits, .rows = rows, .vocab = vocab};
    example_result *serial = example_memory(rows, sizeof *serial), *parallel = example_memory(rows, sizeof *parallel);
    double one = best_time(&in, serial, 1, runs);
    for (int threads = 2; threads <= (quick ? 4 : most); threads++) {
        double took = best_time(&in, parallel, threads, runs);
        if (memcmp(serial, parallel, rows * sizeof *serial) != 0) {
            fprintf(stderr, "%d threads give other bits than one\n", threads);
            return EXIT_FAILURE;
        }
        printf("%zu rows of %zu: 1 thread %.3f ms, %d threads %.3f ms, %.2f times as fast, same bits\n", rows, vocab,
               one * 1e3, threads, took * 1e3, one / took);
    }
    free(logits);
    free(serial);
    free(parallel);
    return EXIT_SUCCESS;
}
