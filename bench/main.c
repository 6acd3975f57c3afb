/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Registers every case and runs those that the command line asks for: `logprob_bench --help`. */
#include "cases.h"
#include "gbench_shim.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

static void pin(void)
{
    const char *core = getenv("LOGPROB_BENCH_CORE");
    char text[16];
    if (!core)
        return;
    snprintf(text, sizeof text, "%d", pin_to_core(atoi(core)));
    gbench_context("core", text);
}

/* Peers that allocate their results get the same pages back each time, instead of page faults that vary. */
static void keep_freed_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
#endif
}

int main(int argc, char **argv)
{
    keep_freed_memory();
    pin();
    gbench_context("cpu_model", cpu_model());
    gbench_context("compiler", compiler_name());
    gbench_context("logprob_version", lp_version());
    gbench_context("peers_not_found", BENCH_MISSING);
    register_limit_cases();
    register_row_cases();
    register_stream_cases();
    register_compare_cases();
    register_sequence_cases();
    register_partial_cases();
    register_libm_peer();
    register_sort_peer();
#ifdef BENCH_SLEEF
    register_sleef_peer();
#endif
#ifdef BENCH_DNNL
    register_dnnl_peer();
#endif
#ifdef BENCH_XNNPACK
    register_xnnpack_peer();
#endif
#ifdef BENCH_TORCH
    register_torch_peer();
#endif
    return gbench_main(argc, argv);
}
