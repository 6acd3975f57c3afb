/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rows of logits with fixed seeds, and the memory that cold measurements walk through. */
#ifndef LP_BENCH_WORKLOAD_H
#define LP_BENCH_WORKLOAD_H
#include <logprob.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    ROW_BELL,   /* one peak over a bell (sd 2.5): what a language model's row looks like */
    ROW_ZIPF,   /* -1.1 * log(rank), ranks shuffled: a flat, long tail */
    ROW_MASKED, /* 1% bell, the rest -inf: a row under a grammar, written out */
    ROW_TIES,   /* a bell rounded to eighths: every value is shared by many tokens */
    ROW_NORMAL, /* standard normal, as tests draw them: so close together that lanes' sums say little of their elements */
    ROW_ASCENDING, /* strictly rising: every element enters the top-k */
    ROW_EQUAL,     /* all 0, as a model gives that is not trained */
    ROW_LOW,       /* a bell around -90, as some models' logits lie: beyond the window of the kernels' e^x */
    ROW_FREQUENT, /* the lowest ids are the most frequent, as a byte-pair vocabulary has them: most mass in one block */
    ROW_SECTIONS, /* a bell, every other block of LP_BLOCK 90 below the rest: on either side of the window */
    ROW_PADDED,   /* a bell, the last eighth -10,000, as some fill what no token has */
    ROW_WIDE,     /* ten times a bell, as a temperature of 0.1 makes it: beyond both sides of the window */
} row_kind;

const char *row_kind_name(row_kind kind);
void row_fill(float *row, size_t n, row_kind kind, uint64_t seed);

/* What a second model gives where the first one gives `row`: normal differences of that deviation, at another level. */
void row_second(float *out, const float *row, size_t n, float deviation, float level, uint64_t seed);

/* n tokens, `step` apart, drawn by the row's own probabilities. */
void row_draw(int32_t *token, size_t step, size_t n, const float *row, size_t vocab, uint64_t *state);

/* The same values as 16-bit floats, rounded to nearest even. */
void row_narrow(uint16_t *out, const float *row, size_t n, lp_dtype dtype);
size_t dtype_size(lp_dtype dtype);
const char *dtype_name(lp_dtype dtype);

/* One bit per token, `percent` of them allowed, the last token always. */
void mask_fill(uint32_t *allowed, size_t n, unsigned percent, uint64_t seed);

uint64_t random_bits(uint64_t *state);

/* Memory without alignment surprises: 64-byte aligned, every page touched. Ends the program when there is none. */
void *bench_alloc(size_t bytes);

/* Ends the program when a call fails: one that refuses its arguments is fast, and no result. */
void need_ok(lp_status status);

/* How much a cold measurement walks through: twice the last-level cache, at least 64 MiB, at most `most`. */
size_t cold_bytes(size_t most);

int pin_to_core(int core);       /* core < 0: the last one; returns the core or -1 */
double cpu_seconds(void);        /* of this thread: what other programs take in between does not count */
const char *cpu_model(void);     /* "Intel(R) Xeon(R) Processor (6/167)", or "unknown" */
const char *compiler_name(void); /* "gcc 12.2.0" */

#ifdef __cplusplus
}
#endif
#endif
