/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Google Benchmark for C: register cases, then run them with its command line. */
#ifndef LP_BENCH_GBENCH_SHIM_H
#define LP_BENCH_GBENCH_SHIM_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct gbench_case {
    const char *name;
    void (*setup)(void *argument);    /* before every repetition, not timed; NULL: none */
    void (*run)(void *argument);      /* what is timed */
    void (*teardown)(void *argument); /* after every repetition, not timed; NULL: none */
    void *argument;
    double bytes, items; /* of one run; 0: not reported */
    /* Work that shows what the machine allows, timed before and after each repetition: the read-only scan of the same
     * bytes, and the limit that binds this case where that is another one. NULL: no such counter. */
    void (*scan)(void *argument);
    void (*limit)(void *argument);
} gbench_case;

/* Counters of each result: ns_per_item, scan_ns and x_scan (time per run over the scan's), limit_ns and x_limit. */
void gbench_register(const gbench_case *c); /* the struct and the name are copied */
void gbench_context(const char *key, const char *value);
int gbench_main(int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
