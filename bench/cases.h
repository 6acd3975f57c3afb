/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* One benchmark case: which function or peer, on which rows. Every bench_*.c and peer_* file registers its own. */
#ifndef LP_BENCH_CASES_H
#define LP_BENCH_CASES_H
#include "workload.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BATCH = 64 };

typedef enum {
    LIMIT_SCAN,   /* reads each row once */
    LIMIT_MEMCPY, /* and writes as much */
    LIMIT_NONE,   /* k-sized: the machine's limit is the call */
} limit_kind;

typedef struct bench_job {
    /* what it is: the name is family/subject/dtype/vocab[/k<k>][/<kind>][/<note>][/batch64][/cold] */
    const char *family, *subject; /* subject: the ISA's name, or the peer's */
    lp_isa isa;                   /* selected before each run; a peer's: whose limit it is compared with */
    lp_dtype dtype;
    row_kind kind;
    size_t vocab, rows, k;
    int cold; /* other rows each time, last touched a cache ago */
    limit_kind limit;
    const char *note;
    void (*run)(struct bench_job *);
    void (*open)(struct bench_job *); /* once, before the first run; NULL: nothing to do */

    /* what a run works on */
    lp_logits in;
    const float *data;    /* in.data where dtype is f32 */
    float *dense;         /* [rows, vocab] output */
    int32_t token[BATCH]; /* one of each row */
    void *own;            /* the case's own, made by `open` */
} bench_job;

/* Copies the job; rows 0 means 1, or BATCH when cold. */
void job_add(const bench_job *job);

/* f32 jobs of the same shape for all vocabularies: 0-terminated list. */
void job_add_vocabs(const bench_job *job, const size_t *vocab);

extern const size_t VOCABS[];      /* 256 to 262,144 */
extern const size_t COLD_VOCABS[]; /* those whose 64 rows leave the cache */

/* Every ISA of this host, the best last; peers are compared with the best one's limits, unless the environment's
 * LOGPROB_BENCH_PEER_ISA=avx2 holds them to less. */
size_t host_isas(lp_isa out[4]);
lp_isa peer_isa(void);
const char *peer_name(const char *name); /* "torch", or "torch-avx2" when held to less */

/* The second model's rows for `job`: the cold arena's other half, or another warm matrix. */
const float *job_other(const bench_job *job);

/* Results that nobody reads; large enough for BATCH rows and k of `vocab` in one row. */
typedef struct bench_results {
    float *a, *b, *c, *d;
    int32_t *i, *j;
} bench_results;
const bench_results *job_results(void);

extern volatile float bench_sink;

void register_row_cases(void);
void register_stream_cases(void);
void register_compare_cases(void);
void register_sequence_cases(void);
void register_partial_cases(void);
void register_limit_cases(void);
void register_libm_peer(void);
void register_sleef_peer(void);
void register_sort_peer(void);
void register_dnnl_peer(void);
void register_xnnpack_peer(void);
void register_torch_peer(void);

#ifdef __cplusplus
}
#endif
#endif
