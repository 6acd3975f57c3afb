/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rows of logits with fixed seeds, and the memory that cold measurements walk through. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity */
#endif
#include "workload.h"
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Normal numbers cost 40 ns each, so rows are windows of one pool. */
enum { POOL = 1 << 21 };

uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double random_unit(uint64_t *state)
{
    return ((double)(random_bits(state) >> 11) + 0.5) * 0x1p-53;
}

static const float *normal_pool(void)
{
    static float *pool;
    if (pool)
        return pool;
    float *fresh = bench_alloc(POOL * sizeof *fresh);
    uint64_t state = 20240601;
    for (size_t i = 0; i < POOL; i += 2) {
        double radius = sqrt(-2.0 * log(random_unit(&state)));
        double angle = 6.283185307179586 * random_unit(&state);
        fresh[i] = (float)(radius * cos(angle));
        fresh[i + 1] = (float)(radius * sin(angle));
    }
    pool = fresh;
    return pool;
}

static void fill_normal(float *row, size_t n, float deviation, uint64_t *state)
{
    const float *pool = normal_pool();
    size_t at = (size_t)(random_bits(state) % POOL);
    for (size_t i = 0; i < n; i++)
        row[i] = deviation * pool[(at + i) % POOL];
}

static void fill_bell(float *row, size_t n, uint64_t *state)
{
    fill_normal(row, n, 2.5f, state);
    if (n)
        row[random_bits(state) % n] = 14.0f;
}

static void fill_zipf(float *row, size_t n, uint64_t *state)
{
    for (size_t i = 0; i < n; i++)
        row[i] = (float)(12.0 - 1.1 * log(1.0 + random_unit(state) * (double)n));
}

static void fill_masked(float *row, size_t n, uint64_t *state)
{
    fill_bell(row, n, state);
    for (size_t i = 0; i + 1 < n; i++)
        if (random_bits(state) % 100 != 0)
            row[i] = -INFINITY;
}

static void fill_ties(float *row, size_t n, uint64_t *state)
{
    fill_bell(row, n, state);
    for (size_t i = 0; i < n; i++)
        row[i] = rintf(row[i] * 8.0f) * 0.125f;
}

void row_fill(float *row, size_t n, row_kind kind, uint64_t seed)
{
    uint64_t state = seed;
    switch (kind) {
    case ROW_BELL:
        fill_bell(row, n, &state);
        break;
    case ROW_ZIPF:
        fill_zipf(row, n, &state);
        break;
    case ROW_MASKED:
        fill_masked(row, n, &state);
        break;
    case ROW_TIES:
        fill_ties(row, n, &state);
        break;
    case ROW_NORMAL:
        fill_normal(row, n, 1.0f, &state);
        break;
    case ROW_ASCENDING:
        for (size_t i = 0; i < n; i++)
            row[i] = -12.0f + 24.0f * ((float)i / (float)n);
        break;
    case ROW_EQUAL:
        memset(row, 0, n * sizeof *row);
        break;
    case ROW_LOW:
        fill_bell(row, n, &state);
        for (size_t i = 0; i < n; i++)
            row[i] -= 90;
        break;
    case ROW_FREQUENT:
        fill_normal(row, n, 1.0f, &state);
        for (size_t i = 0; i < n; i++)
            row[i] += 12.0f - 1.1f * logf(10.0f + (float)i);
        break;
    case ROW_SECTIONS:
        fill_bell(row, n, &state);
        for (size_t i = 0; i < n; i++)
            row[i] -= i / LP_BLOCK % 2 != 0 ? 90.0f : 0.0f;
        break;
    case ROW_PADDED:
        fill_bell(row, n, &state);
        for (size_t i = n - n / 8; i < n; i++)
            row[i] = -1e4f;
        break;
    case ROW_WIDE:
        fill_bell(row, n, &state);
        for (size_t i = 0; i < n; i++)
            row[i] *= 10;
        break;
    }
}

void row_second(float *out, const float *row, size_t n, float deviation, float level, uint64_t seed)
{
    const float *pool = normal_pool();
    size_t at = (size_t)(random_bits(&seed) % POOL);
    for (size_t i = 0; i < n; i++)
        out[i] = row[i] + deviation * pool[(at + i) % POOL] + level;
}

const char *row_kind_name(row_kind kind)
{
    static const char *const name[] = {"bell",  "zipf", "masked",         "ties",     "normal", "ascending",
                                       "equal", "low",  "frequent first", "sections", "padded", "wide"};
    return name[kind];
}

static uint16_t to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* the workload holds no NaN */
}

static uint16_t to_f16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x477ff000)
        return (uint16_t)(sign | 0x7c00);
    if (magnitude < 0x38800000) { /* subnormal: let the float adder round at 2^-24 */
        float shifted = fabsf(x) + 0.5f;
        memcpy(&magnitude, &shifted, sizeof magnitude);
        return (uint16_t)(sign | (magnitude - 0x3f000000));
    }
    return (uint16_t)(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

void row_draw(int32_t *token, size_t step, size_t n, const float *row, size_t vocab, uint64_t *state)
{
    double *upto = bench_alloc(vocab * sizeof *upto), sum = 0;
    for (size_t i = 0; i < vocab; i++)
        upto[i] = sum += exp((double)row[i]);
    for (size_t d = 0; d < n; d++) {
        const double u = (double)(random_bits(state) >> 11) * 0x1p-53 * sum;
        size_t i = 0;
        while (i + 1 < vocab && upto[i] <= u)
            i++;
        token[d * step] = (int32_t)i;
    }
    free(upto);
}

void row_narrow(uint16_t *out, const float *row, size_t n, lp_dtype dtype)
{
    for (size_t i = 0; i < n; i++)
        out[i] = dtype == LP_BF16 ? to_bf16(row[i]) : to_f16(row[i]);
}

size_t dtype_size(lp_dtype dtype)
{
    return dtype == LP_F32 ? 4 : 2;
}

const char *dtype_name(lp_dtype dtype)
{
    return dtype == LP_F32 ? "f32" : dtype == LP_BF16 ? "bf16" : "f16";
}

void mask_fill(uint32_t *allowed, size_t n, unsigned percent, uint64_t seed)
{
    memset(allowed, 0, (n + 31) / 32 * sizeof *allowed);
    for (size_t i = 0; i < n; i++)
        if (i + 1 == n || random_bits(&seed) % 100 < percent)
            allowed[i / 32] |= UINT32_C(1) << i % 32;
}

void *bench_alloc(size_t bytes)
{
    size_t rounded = (bytes + 63) / 64 * 64;
    void *memory = aligned_alloc(64, rounded ? rounded : 64);
    if (!memory) {
        fprintf(stderr, "bench: no memory for %zu bytes\n", bytes);
        exit(1);
    }
    memset(memory, 0, rounded);
    return memory;
}

void need_ok(lp_status status)
{
    if (status == LP_OK)
        return;
    fprintf(stderr, "bench: %s\n", lp_status_string(status));
    exit(1);
}

/* sysconf's cache sizes are a glibc extension that reads 0 on many ARM machines. */
size_t cold_bytes(size_t most)
{
    const size_t least = (size_t)64 << 20;
    long cache = 0;
#ifdef _SC_LEVEL3_CACHE_SIZE
    cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
#endif
    size_t want = cache > 0 ? 2 * (size_t)cache : (size_t)256 << 20;
    return want < least ? least : want > most ? most : want;
}

int pin_to_core(int core)
{
    if (core < 0)
        core = (int)sysconf(_SC_NPROCESSORS_ONLN) - 1;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)core, &set);
    return sched_setaffinity(0, sizeof set, &set) == 0 ? core : -1;
}

double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* "key : value" of /proc/cpuinfo's first processor; `out` stays as it was where there is none. */
static void cpuinfo_value(const char *key, char *out, size_t bytes)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        size_t length = strlen(key);
        if (!colon || strncmp(line, key, length) != 0 ||
            strspn(line + length, " \t") != (size_t)(colon - line) - length)
            continue;
        colon += 1 + strspn(colon + 1, " ");
        colon[strcspn(colon, "\n")] = 0;
        snprintf(out, bytes, "%s", colon);
        break;
    }
    if (f)
        fclose(f);
}

const char *cpu_model(void)
{
    static char text[256];
    char model[160] = "unknown", family[24] = "", number[24] = "";
    cpuinfo_value("model name", model, sizeof model);
    cpuinfo_value("cpu family", family, sizeof family);
    cpuinfo_value("model", number, sizeof number);
    if (family[0])
        snprintf(text, sizeof text, "%s (%s/%s)", model, family, number);
    else
        snprintf(text, sizeof text, "%s", model);
    return text;
}

const char *compiler_name(void)
{
    static char text[64];
#if defined(__clang__)
    snprintf(text, sizeof text, "clang %d.%d.%d", __clang_major__, __clang_minor__, __clang_patchlevel__);
#elif defined(__GNUC__)
    snprintf(text, sizeof text, "gcc %d.%d.%d", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#else
    snprintf(text, sizeof text, "unknown compiler");
#endif
    return text;
}
