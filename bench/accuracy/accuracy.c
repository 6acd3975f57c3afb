/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The same rows through this library and the ones that a user would take instead; errors against MPFR, as tables. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "accuracy.h"
#include "oracle.h"
#include "workload.h"
#include <logprob.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 262144, TIES_K = 5 };

/* ---- libraries ---------------------------------------------------------------------------------------------------- */

static void dense_ours(float *out, const float *x, size_t n)
{
    const lp_logits in = {.data = x, .rows = 1, .vocab = n};
    lp_log_softmax(&in, out, 0);
}

#ifdef ACCURACY_SCIPY
static void write_all(FILE *f, const float *x, size_t n, const char *what)
{
    if (f == NULL || fwrite(x, sizeof *x, n, f) != n || fclose(f) != 0) {
        perror(what);
        exit(EXIT_FAILURE);
    }
}

static void dense_scipy(float *out, const float *x, size_t n)
{
    char path[] = "/tmp/logprob-accuracy-XXXXXX", command[1024];
    const int fd = mkstemp(path);
    write_all(fd < 0 ? NULL : fdopen(fd, "wb"), x, n, path);
    snprintf(command, sizeof command, "'%s' '%s' < '%s'", ACCURACY_SCIPY, ACCURACY_SCIPY_SCRIPT, path);
    FILE *f = popen(command, "r");
    const size_t got = f == NULL ? 0 : fread(out, sizeof *out, n, f);
    if (f == NULL || pclose(f) != 0 || got != n) {
        fprintf(stderr, "failed: %s\n", command);
        exit(EXIT_FAILURE);
    }
    unlink(path);
}
#endif

static const struct {
    const char *name;
    dense_function *dense;
} library[] = {
    {"logprob", dense_ours},
#ifdef ACCURACY_DNNL
    {"oneDNN", dense_dnnl},
#endif
#ifdef ACCURACY_TORCH
    {"torch", dense_torch},
#endif
#ifdef ACCURACY_XNNPACK
    {"XNNPACK", dense_xnnpack},
#endif
#ifdef ACCURACY_SCIPY
    {"SciPy", dense_scipy},
#endif
};
enum { LIBRARIES = sizeof library / sizeof *library };

/* ---- rows --------------------------------------------------------------------------------------------------------- */

static double unit(uint64_t *state)
{
    return (double)(random_bits(state) >> 11) * 0x1p-53;
}

static float bell(uint64_t *state)
{
    double sum = -6;
    for (int i = 0; i < 12; i++) {
        sum += unit(state);
    }
    return (float)sum;
}

static void fill(float *x, size_t n, float scale, float shift)
{
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        x[i] = bell(&state) * scale + shift;
    }
}

static void normal(float *x, size_t n)
{
    fill(x, n, 3, 0);
}
static void peak(float *x, size_t n)
{
    fill(x, n, 3, 0);
    x[n / 3] = 24;
}
static void offset(float *x, size_t n)
{
    fill(x, n, 3, 1000);
}
static void one_above(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = 0.1F;
    }
    x[n / 3] = 0.2F;
}
static void uniform(float *x, size_t n)
{
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        x[i] = (float)(unit(&state) * 200 - 100);
    }
}
/* a peak so far above a normal row that 1 - p is about `rest` */
static void near_one(float *x, size_t n, double rest)
{
    fill(x, n, 3, 0);
    x[n / 3] = (float)(4.5 + log((double)n) - log(rest));
}
static void near_one_3(float *x, size_t n)
{
    near_one(x, n, 1e-3);
}
static void near_one_9(float *x, size_t n)
{
    near_one(x, n, 1e-9);
}
static void near_one_30(float *x, size_t n)
{
    near_one(x, n, 1e-30);
}
static void masked(float *x, size_t n)
{
    fill(x, n, 3, 0);
    for (size_t i = 0; i < n; i += 2) {
        x[i] = -INFINITY;
    }
}
static void whole_blocks_masked(float *x, size_t n)
{
    fill(x, n, 3, 0);
    for (size_t i = 0; i < n / 2; i++) {
        x[i] = -INFINITY;
    }
}
static void one_nan(float *x, size_t n)
{
    fill(x, n, 3, 0);
    x[n / 2 + 7] = NAN;
}
static void one_inf(float *x, size_t n)
{
    fill(x, n, 3, 0);
    x[n / 2 + 7] = INFINITY;
}
static void ties(float *x, size_t n)
{
    uint64_t state = 1;
    for (size_t i = 0; i < n; i++) {
        x[i] = roundf(bell(&state) * 2) / 4;
    }
}

static const struct {
    const char *name;
    void (*fill)(float *x, size_t n);
    size_t n;
} rows[] = {
    {"normal, sd 3", normal, 128256},
    {"the same with a peak of 24", peak, 128256},
    {"normal, sd 3, + 1000", offset, 128256},
    {"one 0.2 among 0.1s", one_above, 262144},
    {"uniform +-100", uniform, 128256},
    {"1 - p = 1e-3", near_one_3, 128256},
    {"1 - p = 1e-9", near_one_9, 128256},
    {"1 - p = 1e-30", near_one_30, 128256},
    {"every other logit -inf", masked, 128256},
    {"first half -inf", whole_blocks_masked, 128256},
    {"ties: steps of 1/4", ties, 128256},
    {"one NaN", one_nan, 128256},
    {"one +inf", one_inf, 128256},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* ---- what came out -------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    double worst, top;       /* largest error, nats; relative error of the largest's logprob */
    size_t nan, minus, lost; /* NaN; -inf; not -inf or NaN as they should be */
    float top_logprob;
    size_t above; /* logprobs above 0 */
} outcome;

static size_t argmax(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        best = x[i] > x[best] ? i : best;
    }
    return best;
}

static outcome judge(const float *x, const float *logprob, size_t n, const oracle *o)
{
    outcome r = {0};
    for (size_t i = 0; i < n; i++) {
        const float got = logprob[i];
        r.nan += got != got;
        r.minus += got == -INFINITY;
        r.above += got > 0;
        if (o == NULL) {
            continue;
        }
        const double want = oracle_logprob(o, x[i]);
        if (isinf(want) || isinf(got) || got != got) {
            r.lost += !(isinf(want) && got == -INFINITY);
        } else {
            r.worst = fmax(r.worst, fabs((double)got - want));
        }
    }
    const size_t top = argmax(x, n);
    r.top_logprob = logprob[top];
    if (o != NULL) {
        r.top = fabs((double)r.top_logprob + o->log_norm) / o->log_norm;
    }
    return r;
}

static uint64_t digest(uint64_t hash, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        hash = (hash ^ bits) * 0x100000001b3U;
    }
    return hash;
}

static void print_heading(const char *title, const char *first)
{
    printf("\n%s\n\n| %s |", title, first);
    for (int l = 0; l < LIBRARIES; l++) {
        printf(" %s |", library[l].name);
    }
    printf("\n|---|");
    for (int l = 0; l < LIBRARIES; l++) {
        printf("---|");
    }
    printf("\n");
}

static outcome result[ROWS][LIBRARIES];
static int is_bad[ROWS];
static double exact_top[ROWS];
static uint64_t hash[LIBRARIES];

static void measure(void)
{
    float *x = bench_alloc(MOST * sizeof *x), *out = bench_alloc(MOST * sizeof *out);
    for (int l = 0; l < LIBRARIES; l++) {
        hash[l] = 0xcbf29ce484222325U;
    }
    for (int r = 0; r < ROWS; r++) {
        const size_t n = rows[r].n;
        rows[r].fill(x, n);
        is_bad[r] = rows[r].fill == one_nan || rows[r].fill == one_inf;
        oracle o = {0};
        if (!is_bad[r]) {
            o = oracle_row(x, n);
            exact_top[r] = -o.log_norm;
        }
        for (int l = 0; l < LIBRARIES; l++) {
            library[l].dense(out, x, n);
            result[r][l] = judge(x, out, n, is_bad[r] ? NULL : &o);
            hash[l] = digest(hash[l], out, n);
        }
    }
    free(x);
    free(out);
}

static void print_errors(void)
{
    print_heading("Largest error of a logprob, nats", "row");
    for (int r = 0; r < ROWS; r++) {
        if (is_bad[r]) {
            continue;
        }
        printf("| %s |", rows[r].name);
        for (int l = 0; l < LIBRARIES; l++) {
            const outcome *o = &result[r][l];
            if (o->lost > 0) {
                printf(" %.1e; %zu lost |", o->worst, o->lost);
            } else {
                printf(" %.1e |", o->worst);
            }
        }
        printf("\n");
    }
    print_heading("The largest logprob: value, and relative error", "row, exact value");
    for (int r = 0; r < ROWS; r++) {
        if (is_bad[r]) {
            continue;
        }
        printf("| %s, %.4g |", rows[r].name, exact_top[r]);
        for (int l = 0; l < LIBRARIES; l++) {
            printf(" %.4g, %.1e |", (double)result[r][l].top_logprob, result[r][l].top);
        }
        printf("\n");
    }
}

static void print_bad(void)
{
    print_heading("Rows without an answer: how many of the logprobs are NaN / -inf / numbers", "row");
    for (int r = 0; r < ROWS; r++) {
        if (!is_bad[r]) {
            continue;
        }
        printf("| %s |", rows[r].name);
        for (int l = 0; l < LIBRARIES; l++) {
            const outcome *o = &result[r][l];
            printf(" %zu / %zu / %zu |", o->nan, o->minus, rows[r].n - o->nan - o->minus);
        }
        printf("\n");
    }
}

static void print_ties(void)
{
    float *x = bench_alloc(MOST * sizeof *x);
    const size_t n = 128256;
    ties(x, n);
    printf("\nIds of the %d largest of the row of ties (lowest ids: ", TIES_K);
    const float best = x[argmax(x, n)];
    for (size_t i = 0, k = 0; i < n && k < TIES_K; i++) {
        if (x[i] == best) {
            printf("%zu ", i);
            k++;
        }
    }
    int32_t id[TIES_K];
    float logprob[TIES_K];
    const lp_logits in = {.data = x, .rows = 1, .vocab = n};
    lp_topk(&in, TIES_K, logprob, id);
    printf("where that many tie)\n\n    logprob");
    for (int i = 0; i < TIES_K; i++) {
        printf(" %d", (int)id[i]);
    }
#ifdef ACCURACY_TORCH
    int other[TIES_K];
    top_torch(other, TIES_K, x, n);
    printf("\n    torch  ");
    for (int i = 0; i < TIES_K; i++) {
        printf(" %d", other[i]);
    }
#endif
    printf("\n");
    free(x);
}

int main(void)
{
    printf("%s, %s, kernels %s\n", cpu_model(), compiler_name(), lp_isa_name(lp_isa_active()));
    measure();
    print_errors();
    print_bad();
    print_ties();
    printf("\nLogprobs above 0, and a digest of all bits, over all rows\n\n");
    for (int l = 0; l < LIBRARIES; l++) {
        size_t above = 0;
        for (int r = 0; r < ROWS; r++) {
            above += result[r][l].above;
        }
        printf("    %-8s %zu, %016llx\n", library[l].name, above, (unsigned long long)hash[l]);
    }
    return EXIT_SUCCESS;
}
