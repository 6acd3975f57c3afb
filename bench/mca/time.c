/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Times the loops of loops.c from the first-level cache: prints the clock in GHz and nanoseconds per element of each. */
#define _POSIX_C_SOURCE 199309L
#include "loops.h"
#include <stdio.h>
#include <time.h>

enum { N = 2048, AHEAD = 65536, CALLS = 200, TRIES = 2000 };
static _Alignas(64) float x[N + AHEAD], out[N], sums[768]; /* AHEAD: what the loops prefetch exists */
static volatile float sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run_logsumexp(void)
{
    sink = (float)loop_logsumexp(x, N / 256, sums);
}

static void run_entropy(void)
{
    sink = (float)loop_entropy(x, N / 256, sums);
}

static void run_dense(void)
{
    loop_dense(out, x, N, 4, 2);
    sink = out[N - 1];
}

static void run_max(void)
{
    sink = loop_max(x);
}

/* 2048 additions, each waiting for the one before: a cycle each, so that this row gives the clock */
static void run_clock(void)
{
    uint64_t a = 1;
    for (int i = 0; i < N / 8; i++) {
        __asm__ volatile("add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\t"
                         "add %0, %0\n\tadd %0, %0\n\tadd %0, %0\n\tadd %0, %0"
                         : "+r"(a));
    }
}

/* the fastest of many short tries: others use the machine too */
static double fastest(void (*run)(void))
{
    double best = 1e30;
    for (int i = 0; i < TRIES; i++) {
        double start = now();
        for (int c = 0; c < CALLS; c++) {
            run();
        }
        double t = now() - start;
        best = t < best ? t : best;
    }
    return best / CALLS / N;
}

int main(void)
{
    uint32_t seed = 1;
    for (int i = 0; i < N + AHEAD; i++) {
        seed = seed * 1664525U + 1013904223U;
        x[i] = (float)(seed >> 8) * 0x1p-24F * 16 - 12;
    }
    printf("clock %.4f\n", 1 / fastest(run_clock));
    printf("logsumexp %.5f\nentropy %.5f\n", fastest(run_logsumexp), fastest(run_entropy));
    printf("dense %.5f\nmax %.5f\n", fastest(run_dense), fastest(run_max));
    return 0;
}
