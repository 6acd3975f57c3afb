/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Hunts the rows on which results err most, and checks the ones it found before against the published bounds.
 *
 *     ulp_search [--seconds CPU_SECONDS] [--seed N] [--out DIRECTORY]     hunt; goes on from and writes DIRECTORY/<quantity>.txt
 *     ulp_search --check FILE...                                          recorded rows, as ctest does on each ISA
 *
 * The hunt climbs: it changes elements, lanes, sets or the whole row, and keeps what increases the error. Rows whose sets of
 * 32 are equal matter most: all lanes then round alike, and errors that cancel in random rows add up. Climbing asks a double
 * reference, which knows 1e-15; every record is confirmed by MPFR, and only MPFR's error counts. */
#include "bounds.h"
#include "oracle.h"
#include "rows.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { EXIT_SKIPPED = 77, MOST = 4096, QUANTITIES = 5 };
typedef enum { LOGSUMEXP, LOG_NORM, TOP, DENSE, ENTROPY } quantity;
static const struct {
    const char *name, *unit;
} about[QUANTITIES] = {
    {"logsumexp", "nats beyond 0.5 ulp"}, {"log_norm", "relative, beyond 0.5 ulp"}, {"top_logprob", "ulp, p >= 0.5"},
    {"log_softmax", "ulp, p < 0.5"},      {"entropy", "relative, beyond 0.5 ulp"},
};

typedef struct results {
    float logsumexp, log_norm, entropy, max_logit;
} results;

typedef struct finding {
    double error, share, got, want; /* share: of the published bound */
    size_t index;
} finding;

/* ---- the error of one quantity --------------------------------------------------------------------------------- */

static finding beyond_rounding(double got, double want, double unit, double bound)
{
    const double error = fabs(got - want), rounding = BOUND_ROUNDING_ULP * ulp_of_larger(got, want);
    return (finding){(error - rounding) / unit, error / (rounding + bound), got, want, 0};
}

/* `top`: the elements with p >= 0.5, else the others */
static finding dense_error(const oracle *o, const float *x, size_t n, const float *logprob, bool top)
{
    finding most = {-1, 0, 0, 0, 0};
    const double slack = sum_slack(o);
    for (size_t i = 0; i < n; i++) {
        const double want = oracle_logprob(o, x[i]), got = (double)logprob[i];
        if ((want > -0.6931471805599453) != top || isinf(x[i]) || want < -1e30) {
            continue;
        }
        const double ulp = ulp_of_larger(got, want), error = fabs(got - want);
        const double share = fmax(error / (BOUND_DENSE_ULP * ulp + slack), top ? error / (BOUND_TOP_ULP * ulp) : 0);
        if (error / ulp > most.error) {
            most = (finding){error / ulp, fmax(share, most.share), got, want, i};
        }
        most.share = fmax(share, most.share);
    }
    return most;
}

static finding error_of(quantity q, const oracle *o, const float *x, size_t n, const results *r, const float *logprob)
{
    const finding none = {-1, 0, 0, 0, 0};
    const double sum = sum_slack(o);
    if (o->rest < 2 * BOUND_REST) {
        return none;
    }
    switch (q) {
    case LOGSUMEXP:
        return beyond_rounding((double)r->logsumexp, o->logsumexp, 1, sum);
    case LOG_NORM:
        return beyond_rounding((double)r->log_norm, o->log_norm, o->log_norm, sum);
    case ENTROPY:
        return beyond_rounding((double)r->entropy, o->entropy, o->entropy, BOUND_ENTROPY * o->entropy);
    default:
        return dense_error(o, x, n, logprob, q == TOP);
    }
}

static void run_library(quantity q, const float *x, size_t n, results *r, float *logprob)
{
    const lp_logits in = {.data = x, .rows = 1, .vocab = n};
    lp_scores out = {.logsumexp = &r->logsumexp, .log_norm = &r->log_norm, .max_logit = &r->max_logit};
    out.entropy = q == ENTROPY ? &r->entropy : NULL;
    require(lp_score(&in, NULL, 0, &out) == LP_OK, "lp_score of an ordinary row");
    if (q == TOP || q == DENSE) {
        require(lp_log_softmax(&in, logprob, 0) == LP_OK, "lp_log_softmax of an ordinary row");
    }
}

static finding confirmed(quantity q, const float *x, size_t n)
{
    results r = {0, 0, 0, 0};
    float *logprob = malloc(n * sizeof *logprob);
    run_library(q, x, n, &r, logprob);
    const oracle o = oracle_row(x, n);
    const finding f = error_of(q, &o, x, n, &r, logprob);
    free(logprob);
    return f;
}

/* ---- the reference that climbing asks: the same definitions, in long double, each distinct logit's exp once -------- */

static double cached_exp(double d)
{
    static struct {
        double d, e;
    } cache[4096];
    uint64_t bits;
    memcpy(&bits, &d, sizeof bits);
    const size_t at = (size_t)(bits * 0x9e3779b97f4a7c15U >> 52);
    if (cache[at].d != d || d == 0) {
        cache[at].d = d;
        cache[at].e = exp(d);
    }
    return cache[at].e;
}

static oracle quick_row(const float *x, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++) {
        top = x[i] > x[top] ? i : top;
    }
    const double max = (double)x[top];
    long double sum = 0, weighted = 0;
    for (size_t i = 0; i < n; i++) {
        if (i != top && x[i] != -INFINITY) {
            const double d = (double)x[i] - max, e = cached_exp(d);
            sum += (long double)e;
            weighted -= (long double)(e * d);
        }
    }
    const long double norm = log1pl(sum);
    return (oracle){max, (double)sum, (double)norm, (double)((long double)max + norm),
                    (double)(norm + weighted / (1 + sum))};
}

/* ---- rows and their changes ------------------------------------------------------------------------------------------ */

static size_t any_size(rng *r)
{
    static const size_t sizes[] = {2,           8, 33, 64, 256, 256, 256, 512, 1024, LP_BLOCK, LP_BLOCK, LP_BLOCK + 256,
                                   2 * LP_BLOCK};
    return rng_below(r, 5) ? sizes[rng_below(r, COUNT(sizes))] : 2 + rng_below(r, MOST - 2);
}

/* each set of 32 equal: eight values, the same in every group */
static void fill_sets(float *x, size_t n, rng *r)
{
    const float level = rng_bell(r) * 4, spread = rng_below(r, 2) ? 0.02f : 3.0f * rng_unit(r);
    float value[8];
    for (size_t i = 0; i < 8; i++) {
        value[i] = level + rng_bell(r) * spread;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = value[i / 32 % 8];
    }
}

/* Roundings are largest, for their number, just above a power of two: eight values at which the kernel's e^x, which carries a
 * factor, lies there (so do then its sums of 2, 4 and 8), and a peak whose distance lies there. */
static void fill_aligned(float *x, size_t n, rng *r)
{
    const float factor_log = -0.08408f, ln2 = 0.6931472f;
    const float level = (float)((int)rng_below(r, 41) - 20) * ln2 + factor_log,
                spread = ldexpf(1, -3 - (int)rng_below(r, 15));
    float value[8];
    for (size_t i = 0; i < 8; i++) {
        value[i] = level + rng_unit(r) * spread;
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = value[i / 32 % 8];
    }
    if (rng_below(r, 4)) {
        x[rng_below(r, (uint32_t)n)] = level + ldexpf(1 + rng_unit(r) * spread, (int)rng_below(r, 6));
    }
}

static size_t start_row(float *x, rng *r)
{
    const size_t n = any_size(r);
    const uint32_t kind = rng_below(r, 8);
    if (kind == 0) {
        row_classes[rng_below(r, (uint32_t)row_class_finite)].fill(x, n, r);
    } else if (kind == 1) {
        row_class_named("normal")->fill(x, n, r);
    } else if (kind < 5) {
        fill_aligned(x, n, r);
    } else {
        fill_sets(x, n, r);
        if (kind >= 6) { /* a peak, from just above the rest to far beyond */
            x[rng_below(r, (uint32_t)n)] = x[0] + rng_unit(r) * (rng_below(r, 2) ? 30 : 3);
        }
    }
    return n;
}

static size_t index_of_max(const float *x, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++) {
        top = x[i] > x[top] ? i : top;
    }
    return top;
}

/* a step from an ulp to about one, either way */
static float step_size(rng *r, float x)
{
    const float size = ldexpf(1 + rng_unit(r), -(int)rng_below(r, 26));
    const float least = (float)ulp_of((double)x);
    return (rng_below(r, 2) ? 1.0f : -1.0f) * (size < least ? least : size);
}

static void change(float *x, size_t n, rng *r)
{
    const size_t at = rng_below(r, (uint32_t)n), top = index_of_max(x, n);
    const float old = x[at], step = step_size(r, old), peak = x[top];
    const uint32_t kind = rng_below(r, 16);
    for (size_t i = 0; i < n; i++) {
        const bool chosen = kind < 6    ? i / 32 % 8 == at / 32 % 8 && i != top /* a set of every group */
                            : kind < 8  ? i % 32 == at % 32 && i / 256 == at / 256
                            : kind < 9  ? i == at
                            : kind < 12 ? i == top
                            : kind < 14 ? i != top
                            : kind < 15 ? true
                                        : x[i] == old;
        x[i] = chosen ? x[i] + step : x[i];
    }
    if (kind == 15 && rng_below(r, 4) == 0) {
        x[at] = x[rng_below(r, (uint32_t)n)];
    }
    if (kind == 13) {
        x[top] = peak;
    }
}

/* a logsumexp near 0 has small ulps, which show the error beneath the last rounding */
static void centre(float *x, size_t n)
{
    const float shift = (float)quick_row(x, n).logsumexp;
    for (size_t i = 0; i < n; i++) {
        x[i] -= shift;
    }
}

/* ---- recorded rows -------------------------------------------------------------------------------------------------- */

static quantity quantity_named(const char *name)
{
    for (quantity q = LOGSUMEXP; q <= ENTROPY; q++) {
        if (strcmp(about[q].name, name) == 0) {
            return q;
        }
    }
    fprintf(stderr, "%s: no such quantity\n", name);
    exit(EXIT_FAILURE);
}

/* the number of elements; 0 where there is no such file */
static size_t load(const char *path, quantity *q, float x[MOST])
{
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        return 0;
    }
    char line[256], *end;
    size_t n = 0;
    bool named = false;
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = 0;
        if (line[0] == '#') {
            continue;
        }
        if (!named) {
            *q = quantity_named(line);
            named = true;
            continue;
        }
        unsigned long run = strtoul(line, &end, 10);
        const float value = strtof(end, NULL);
        for (; run > 0 && n < MOST; run--) {
            x[n++] = value;
        }
    }
    fclose(f);
    return n;
}

/* ---- the hunt ------------------------------------------------------------------------------------------------------- */

typedef struct record {
    finding worst;
    float x[MOST];
    size_t n;
    double share; /* largest of any row */
} record;

typedef struct hunt {
    record best[QUANTITIES];
    const char *directory; /* where records are kept, or NULL */
    uint64_t rows, climbs;
    bool broken;
} hunt;

static void path_of(char path[512], const char *directory, quantity q)
{
    snprintf(path, 512, "%s/%s.txt", directory, about[q].name);
}

static void save(const record *b, quantity q, const char *directory)
{
    char path[512];
    path_of(path, directory, q);
    FILE *f = fopen(path, "w");
    if (f == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(EXIT_FAILURE);
    }
    fprintf(f, "# the worst row found for %s: %.4g %s, %.0f%% of the bound\n", about[q].name, b->worst.error,
            about[q].unit, 100 * b->worst.share);
    fprintf(f, "# element %zu: got %a, exact %a\n", b->worst.index, b->worst.got, b->worst.want);
    fprintf(f, "%s\n", about[q].name);
    for (size_t i = 0, run; i < b->n; i += run) {
        for (run = 1; i + run < b->n && same_bits(b->x[i], b->x[i + run]); run++) {
        }
        fprintf(f, "%zu %a\n", run, (double)b->x[i]);
    }
    fclose(f);
}

static void note(hunt *h, quantity q, const float *x, size_t n)
{
    const finding f = confirmed(q, x, n);
    record *b = &h->best[q];
    b->share = fmax(b->share, f.share);
    if (f.share > 1) {
        h->broken = true;
    }
    if (f.error > b->worst.error) {
        b->worst = f;
        b->n = n;
        memcpy(b->x, x, n * sizeof *x);
        printf("%-12s %.5g %s, %.0f%% of the bound, n = %zu, element %zu: got %a, exact %a%s\n", about[q].name, f.error,
               about[q].unit, 100 * f.share, n, f.index, f.got, f.want, f.share > 1 ? "  OUT OF BOUNDS" : "");
        fflush(stdout);
        if (h->directory != NULL) {
            save(b, q, h->directory);
        }
    }
}

/* goes on where an earlier hunt ended */
static void resume(hunt *h)
{
    static float x[MOST];
    for (quantity q = LOGSUMEXP; q <= ENTROPY; q++) {
        char path[512];
        quantity named = q;
        path_of(path, h->directory, q);
        const size_t n = load(path, &named, x);
        if (n > 0 && named == q) {
            note(h, q, x, n);
        }
    }
}

static double quick_error(hunt *h, quantity q, const float *x, size_t n, float *logprob)
{
    results r = {0, 0, 0, 0};
    size_t mass = 0;
    h->rows++;
    for (size_t i = 0; i < n; i++) {
        if (!(fabsf(x[i]) < 1e30f) && x[i] != -INFINITY) {
            return -1;
        }
        mass += x[i] != -INFINITY;
    }
    if (mass == 0) {
        return -1;
    }
    run_library(q, x, n, &r, logprob);
    const oracle o = quick_row(x, n);
    return error_of(q, &o, x, n, &r, logprob).error;
}

static void climb(hunt *h, quantity q, rng *r)
{
    static float x[MOST], next[MOST], logprob[MOST];
    const record *b = &h->best[q];
    size_t n = b->n;
    if (n > 0 && rng_below(r, 4) == 0) {
        memcpy(x, b->x, n * sizeof *x);
    } else {
        n = start_row(x, r);
    }
    if (q == LOGSUMEXP) {
        centre(x, n);
    }
    double best = quick_error(h, q, x, n, logprob);
    for (uint32_t idle = 0, most = n > 600 ? 2000 : 20000; idle < most; idle++) {
        memcpy(next, x, n * sizeof *x);
        for (uint32_t i = 1 + rng_below(r, 3); i > 0; i--) {
            change(next, n, r);
        }
        if (q == LOGSUMEXP && rng_below(r, 8) == 0) {
            centre(next, n);
        }
        const double error = quick_error(h, q, next, n, logprob);
        if (error >= best) {
            idle = error > best ? 0 : idle;
            best = error;
            memcpy(x, next, n * sizeof *x);
        }
    }
    h->climbs++;
    if (best > 0.9 * b->worst.error) {
        note(h, q, x, n);
    }
}

/* rows of every class as they are, large ones too: what climbing does not reach */
static void sample(hunt *h, rng *r)
{
    static float x[262144], logprob[262144];
    const row_class *c = &row_classes[rng_below(r, (uint32_t)row_class_finite)];
    const size_t n = rng_below(r, 20) ? any_size(r) : vocab_shapes[rng_below(r, (uint32_t)vocab_shape_count)];
    c->fill(x, n, r);
    for (quantity q = LOGSUMEXP; q <= ENTROPY; q++) {
        results out = {0, 0, 0, 0};
        run_library(q, x, n, &out, logprob);
        const oracle o = quick_row(x, n);
        const finding f = error_of(q, &o, x, n, &out, logprob);
        h->rows++;
        if (f.share > 1) {
            h->broken = true;
            printf("%-12s OUT OF BOUNDS by the quick reference: class %s, n = %zu, element %zu: got %a, exact %a\n",
                   about[q].name, c->name, n, f.index, f.got, f.want);
        }
        h->best[q].share = fmax(h->best[q].share, f.share);
        if (n <= MOST && f.error > h->best[q].worst.error) {
            note(h, q, x, n);
        }
    }
}

static int search(double seconds, uint64_t seed, const char *directory)
{
    static hunt h;
    rng r = rng_seeded(seed);
    h.directory = directory;
    printf("hunting on %s for %.0f s of CPU time, --seed %llu\n", lp_isa_name(lp_isa_active()), seconds,
           (unsigned long long)seed);
    if (directory != NULL) {
        resume(&h);
    }
    for (uint64_t turn = 0; (double)clock() / CLOCKS_PER_SEC < seconds; turn++) {
        climb(&h, (quantity)(turn % QUANTITIES), &r);
        sample(&h, &r);
    }
    printf("%llu rows, %llu climbs\n", (unsigned long long)h.rows, (unsigned long long)h.climbs);
    for (quantity q = LOGSUMEXP; q <= ENTROPY; q++) {
        const record *b = &h.best[q];
        printf("%-12s worst %.5g %s; largest share of its bound %.0f%%\n", about[q].name, b->worst.error, about[q].unit,
               100 * b->share);
    }
    return h.broken ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int check(char **path, int paths)
{
    int status = EXIT_SUCCESS;
    for (int i = 0; i < paths; i++) {
        static float x[MOST];
        quantity q = LOGSUMEXP;
        const size_t n = load(path[i], &q, x);
        const finding f = n > 0 ? confirmed(q, x, n) : (finding){0, 0, 0, 0, 0};
        const bool good = n > 0 && f.share > 0 && f.share <= 1;
        printf("%-12s %s: %.5g %s, %.0f%% of the bound%s\n", about[q].name, path[i], f.error, about[q].unit,
               100 * f.share, good ? "" : "  OUT OF BOUNDS");
        status = good ? status : EXIT_FAILURE;
    }
    return status;
}

int main(int argc, char **argv)
{
    const char *wish = getenv("LOGPROB_ISA"), *directory = NULL;
    double seconds = 10;
    uint64_t seed = test_seed();
    if (wish != NULL && strcmp(wish, lp_isa_name(lp_isa_active())) != 0) {
        fprintf(stderr, "this CPU lacks %s\n", wish);
        return EXIT_SKIPPED;
    }
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--check") == 0) {
            return check(argv + i + 1, argc - i - 1);
        }
        if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0) {
            seconds = strtod(argv[++i], NULL);
        } else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[++i], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--out") == 0) {
            directory = argv[++i];
        } else {
            fprintf(stderr, "usage: ulp_search [--seconds N] [--seed N] [--out DIRECTORY] | --check FILE...\n");
            return EXIT_FAILURE;
        }
    }
    return search(seconds, seed, directory);
}
