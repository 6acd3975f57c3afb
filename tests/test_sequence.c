/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_sequence_sum against exact sums, in any order; and the faults of lp_sequence_score, row by row. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#include "guard.h"
#include "support.h"

#include <fenv.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILL 0xa5

static bool same_double(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static void expect_double(const place *at, size_t i, double got, double want, const char *what)
{
    if (!same_double(got, want)) {
        fail_at(at, i, got, want, what);
    }
}

static const double nan_double = (double)NAN;

/* everything but the sums, which are compared where they are known exactly */
static void expect_rest(const place *at, size_t i, const lp_sequence *got, const lp_sequence *want)
{
    expect_int(at, i, (int64_t)got->tokens, (int64_t)want->tokens, "tokens");
    expect_int(at, i, (int64_t)got->argmin, (int64_t)want->argmin, "argmin");
    expect_bits(at, i, got->min, want->min, "min");
    expect_int(at, i, got->greedy, want->greedy, "greedy");
    expect_int(at, i, got->status, want->status, "status");
    for (size_t j = 0; j < COUNT(got->reserved); j++) {
        expect_int(at, i, got->reserved[j], 0, "reserved");
    }
}

static void expect_sequence(const place *at, size_t i, const lp_sequence *got, const lp_sequence *want)
{
    expect_rest(at, i, got, want);
    expect_double(at, i, got->logprob, want->logprob, "logprob");
    expect_double(at, i, got->mean, want->mean, "mean");
    expect_double(at, i, got->perplexity, want->perplexity, "perplexity");
}

static lp_sequence empty_sequence(void)
{
    return (lp_sequence){.mean = nan_double,
                         .perplexity = nan_double,
                         .argmin = UINT64_MAX,
                         .min = float_from_bits(NAN_BITS),
                         .greedy = 1};
}

static lp_sequence bad_sequence(uint64_t tokens, lp_status status)
{
    lp_sequence s = empty_sequence();
    s.logprob = nan_double;
    s.tokens = tokens;
    s.greedy = -1;
    s.status = status;
    return s;
}

/* ---- exact sums --------------------------------------------------------------------------------------------------
 * Logprobs that are multiples of 2^-20 above -2^10: int64 holds every sum, and double does below 2^53. */
enum { MAX_ROWS = 5000 };

static void fill_exact(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        x[i] = -(float)(rng_below(r, 1 << 20) >> rng_below(r, 20)) * (rng_below(r, 9) ? 0x1p-20F : 0x1p-10F);
    }
}

static lp_sequence exact_sequence(const float *x, const uint8_t *keep, size_t first, size_t last)
{
    lp_sequence s = empty_sequence();
    int64_t sum = 0;
    for (size_t t = first; t < last; t++) {
        if (keep && !keep[t]) {
            continue;
        }
        s.tokens++;
        sum += (int64_t)((double)x[t] * 0x1p20);
        if (s.argmin == UINT64_MAX || x[t] < s.min) {
            s.argmin = t;
            s.min = x[t] + 0.0F;
        }
    }
    if (s.tokens > 0) {
        s.logprob = (double)sum * 0x1p-20;
        s.mean = s.logprob / (double)s.tokens;
        s.greedy = -1;
    }
    return s;
}

static void check_perplexity(const place *at, size_t i, const lp_sequence *s, worst *w)
{
    const long double want = expl(-(long double)s->mean);
    if (isinf((double)want)) {
        expect_double(at, i, s->perplexity, INFINITY, "perplexity beyond double");
        return;
    }
    const double error = (double)(fabsl((long double)s->perplexity / want - 1) / 0x1p-53L);
    worst_note(w, at, i, error, s->perplexity, (double)want);
    if (!(error <= 2)) {
        fail_at(at, i, s->perplexity, (double)want, "perplexity of the mean");
    }
}

static size_t draw_offsets(size_t *offset, size_t most, rng *r)
{
    size_t n = 0;
    offset[0] = rng_below(r, 4);
    while (n < 40 && offset[n] < most) {
        const size_t step = rng_below(r, 4) == 0 ? 0 : rng_below(r, 1U << rng_below(r, 11));
        offset[n + 1] = offset[n] + step < most ? offset[n] + step : most;
        n++;
    }
    return n;
}

/* Ragged batches: empty sequences, rows before the first and behind the last, masks. What is not kept is NaN. */
START_TEST(ragged)
{
    static float x[MAX_ROWS], poisoned[MAX_ROWS];
    static uint8_t keep[MAX_ROWS];
    worst w = {0};
    for (uint32_t trial = 0; trial < (test_quick() ? 30U : 1000U); trial++) {
        rng r = rng_for("ragged", trial, 0);
        const place at = {"lp_sequence_sum", "ragged", trial, 0};
        size_t offset[42];
        const size_t n = draw_offsets(offset, MAX_ROWS, &r);
        fill_exact(x, MAX_ROWS, &r);
        for (size_t t = 0; t < MAX_ROWS; t++) {
            keep[t] = (uint8_t)(rng_below(&r, 3) ? 1 + rng_below(&r, 255) : 0);
            poisoned[t] = keep[t] && t >= offset[0] && t < offset[n] ? x[t] : NAN;
        }
        lp_sequence all[41], kept[41];
        memset(all, FILL, sizeof all);
        memset(kept, FILL, sizeof kept);
        expect_status(&at, lp_sequence_sum(x, NULL, offset, n, all), LP_OK);
        expect_status(&at, lp_sequence_sum(poisoned, keep, offset, n, kept), LP_OK);
        for (size_t i = 0; i < n; i++) {
            for (int masked = 0; masked < 2; masked++) {
                const lp_sequence *got = masked ? &kept[i] : &all[i];
                const lp_sequence want = exact_sequence(x, masked ? keep : NULL, offset[i], offset[i + 1]);
                expect_rest(&at, i, got, &want);
                expect_double(&at, i, got->logprob, want.logprob, "logprob");
                expect_double(&at, i, got->mean, want.mean, "mean");
                if (want.tokens > 0) {
                    check_perplexity(&at, i, got, &w);
                } else {
                    expect_double(&at, i, got->perplexity, want.perplexity, "perplexity");
                }
            }
        }
    }
    worst_print(&w, "perplexity of the mean", "2^-53");
}
END_TEST

/* logprobs of every size, 2^-149 to 2^127: two double ulps at most, and the same bits in every order */
START_TEST(wide_range)
{
    static float x[MAX_ROWS];
    static long double terms[MAX_ROWS];
    worst w = {0};
    for (uint32_t trial = 0; trial < (test_quick() ? 20U : 600U); trial++) {
        rng r = rng_for("wide", trial, 0);
        const size_t n = 1 + rng_below(&r, trial % 2 ? 30 : MAX_ROWS), offset[] = {0, n};
        const uint32_t widest = 1 + rng_below(&r, 254);
        for (size_t t = 0; t < n; t++) {
            const uint32_t exponent = rng_below(&r, widest);
            x[t] = float_from_bits(0x80000000U | exponent << 23 | rng_below(&r, 1 << 23));
        }
        const place at = {"lp_sequence_sum", "wide range", n, widest};
        lp_sequence got, again;
        expect_status(&at, lp_sequence_sum(x, NULL, offset, 1, &got), LP_OK);
        long double sum = 0, lost = 0; /* Neumaier: 128 bits of sum */
        for (size_t t = 0; t < n; t++) {
            terms[t] = (long double)x[t];
            const long double next = sum + terms[t];
            lost += fabsl(sum) >= fabsl(terms[t]) ? (sum - next) + terms[t] : (terms[t] - next) + sum;
            sum = next;
        }
        sum += lost;
        const double error = (double)(fabsl((long double)got.logprob / sum - 1) / 0x1p-52L);
        worst_note(&w, &at, 0, error, got.logprob, (double)sum);
        if (!(error <= 2)) {
            fail_at(&at, 0, got.logprob, (double)sum, "logprob");
        }
        for (size_t t = n; t > 1; t--) {
            const size_t j = rng_below(&r, (uint32_t)t);
            const float swap = x[t - 1];
            x[t - 1] = x[j];
            x[j] = swap;
        }
        expect_status(&at, lp_sequence_sum(x, NULL, offset, 1, &again), LP_OK);
        expect_double(&at, 0, again.logprob, got.logprob, "logprob in another order");
        expect_double(&at, 0, again.mean, got.mean, "mean in another order");
        expect_double(&at, 0, again.perplexity, got.perplexity, "perplexity in another order");
        expect_bits(&at, 0, again.min, got.min, "min in another order");
        expect_bits(&at, 0, x[again.argmin], again.min, "argmin in another order");
    }
    worst_print(&w, "logprob", "2^-52");
}
END_TEST

/* More rows than the accumulator's bins have room for without carrying: 2^31 and some, of values whose 24 bits fill the top of
 * a 32-bit digit. The rows are one piece of memory, mapped again and again. */
START_TEST(more_rows_than_room)
{
    const char *isa = getenv("LOGPROB_ISA");
    if (test_quick() || sizeof(size_t) < 8 || (isa && strcmp(isa, "scalar") != 0)) {
        return; /* the same code for every ISA */
    }
    const size_t piece = (size_t)1 << 24, pieces = ((size_t)1 << 31) / piece + 1, bytes = piece * sizeof(float);
    FILE *file = tmpfile();
    ck_assert(file && ftruncate(fileno(file), (off_t)bytes) == 0);
    unsigned char *map = mmap(NULL, pieces * bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    ck_assert(map != MAP_FAILED);
    for (size_t i = 0; i < pieces; i++) {
        const int protection = i == 0 ? PROT_READ | PROT_WRITE : PROT_READ;
        ck_assert(mmap(map + i * bytes, bytes, protection, MAP_SHARED | MAP_FIXED, fileno(file), 0) != MAP_FAILED);
    }
    float *x = (float *)(void *)map;
    for (size_t t = 0; t < piece; t++) {
        x[t] = -0x1.fffffep-1F;
    }
    const size_t offset[] = {0, piece * pieces};
    lp_sequence got;
    const place at = {"lp_sequence_sum", "2^31 rows", offset[1], 0};
    expect_status(&at, lp_sequence_sum(x, NULL, offset, 1, &got), LP_OK);
    expect_double(&at, 0, got.logprob, -0x1.fffffep-1 * (double)offset[1], "logprob");
    expect_double(&at, 0, got.mean, -0x1.fffffep-1, "mean");
    munmap(map, pieces * bytes);
    fclose(file);
}
END_TEST

/* ---- values ------------------------------------------------------------------------------------------------------ */
START_TEST(special_values)
{
    const place at = {"lp_sequence_sum", "special values", 0, 0};
    const float x[] = {-1, -INFINITY, -2, /* */ -710, /* */ -709, /* */ -0.0F, 0, /* */ -3, -1, -3, /* */ 1e-7F};
    const size_t offset[] = {0, 3, 4, 5, 7, 10, 11};
    lp_sequence got[6];
    expect_status(&at, lp_sequence_sum(x, NULL, offset, 6, got), LP_OK);
    const lp_sequence want[] = {
        {-INFINITY, -INFINITY, INFINITY, 3, 1, -INFINITY, -1, LP_OK, {0}},
        {-710, -710, INFINITY, 1, 3, -710, -1, LP_OK, {0}}, /* e^710 is no double */
        {-709, -709, got[2].perplexity, 1, 4, -709, -1, LP_OK, {0}},
        {0, 0, 1, 2, 5, 0, -1, LP_OK, {0}},                          /* no -0 */
        {-7, -7.0 / 3, got[4].perplexity, 3, 7, -3, -1, LP_OK, {0}}, /* the first of equals */
        {(double)1e-7F, (double)1e-7F, got[5].perplexity, 1, 10, 1e-7F, -1, LP_OK, {0}},
    };
    for (size_t i = 0; i < COUNT(want); i++) {
        expect_sequence(&at, i, &got[i], &want[i]);
    }
    worst w = {0};
    check_perplexity(&at, 2, &got[2], &w);
    check_perplexity(&at, 4, &got[4], &w);
    check_perplexity(&at, 5, &got[5], &w);
}
END_TEST

/* a bad row spoils its sequence alone; NaN outranks +inf; the call tells of the first bad sequence */
START_TEST(bad_rows)
{
    const place at = {"lp_sequence_sum", "bad rows", 0, 0};
    const float nan = float_from_bits(0xff812345U), inf = INFINITY;
    const float x[] = {-1, inf, -2, /* */ inf, nan, -1, /* */ nan, inf, /* */ -5, /* */ -INFINITY, nan};
    const size_t offset[] = {0, 3, 6, 8, 8, 9, 11};
    lp_sequence got[6];
    memset(got, FILL, sizeof got);
    expect_status(&at, lp_sequence_sum(x, NULL, offset, 6, got), LP_ERR_INF);
    lp_sequence fine = {-5, -5, got[4].perplexity, 1, 8, -5, -1, LP_OK, {0}};
    const lp_sequence want[] = {
        bad_sequence(3, LP_ERR_INF), bad_sequence(3, LP_ERR_NAN), bad_sequence(2, LP_ERR_NAN), empty_sequence(), fine,
        bad_sequence(2, LP_ERR_NAN)};
    for (size_t i = 0; i < COUNT(want); i++) {
        expect_sequence(&at, i, &got[i], &want[i]);
    }
    expect_status(&at, lp_sequence_sum(x, NULL, offset + 1, 5, got), LP_ERR_NAN);
    const uint8_t keep[COUNT(x)] = {1, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0};
    expect_status(&at, lp_sequence_sum(x, keep, offset, 6, got), LP_OK);
    expect_double(&at, 0, got[0].logprob, -3, "what is kept");
    const lp_sequence empty = empty_sequence();
    expect_sequence(&at, 2, &got[2], &empty);
}
END_TEST

START_TEST(arguments)
{
    const place at = {"lp_sequence_sum", "arguments", 0, 0};
    const float x[] = {-1, -2};
    const size_t offset[] = {0, 1, 2}, down[] = {0, 2, 1}, nothing[] = {5, 5, 5};
    lp_sequence out[2], untouched[2];
    memset(out, FILL, sizeof out);
    memset(untouched, FILL, sizeof untouched);
    expect_status(&at, lp_sequence_sum(x, NULL, offset, 0, out), LP_OK);
    expect_status(&at, lp_sequence_sum(NULL, NULL, NULL, 0, NULL), LP_OK);
    expect_status(&at, lp_sequence_sum(x, NULL, NULL, 2, out), LP_ERR_ARG);
    expect_status(&at, lp_sequence_sum(x, NULL, offset, 2, NULL), LP_ERR_ARG);
    expect_status(&at, lp_sequence_sum(x, NULL, down, 2, out), LP_ERR_ARG);
    expect_status(&at, lp_sequence_sum(NULL, NULL, offset, 2, out), LP_ERR_ARG);
    ck_assert_mem_eq(out, untouched, sizeof out);
    expect_status(&at, lp_sequence_sum(NULL, NULL, nothing, 2, out), LP_OK);
    const lp_sequence empty = empty_sequence();
    expect_sequence(&at, 0, &out[0], &empty);
    expect_sequence(&at, 1, &out[1], &empty);
}
END_TEST

/* rows outside the sequences and rows not kept are never read: they lie in pages that fault */
START_TEST(never_read)
{
    const size_t width = guard_page() / sizeof(float);
    guarded g = guard_new(2 * guard_page(), AT_START, 0);
    float *x = (float *)(void *)g.data;
    for (size_t i = 0; i < 2 * width; i++) {
        x[i] = -1;
    }
    guard_freeze(&g);
    const float *rows = x - width;
    const size_t inner[] = {width, 2 * width, 3 * width}, all[] = {0, 4 * width};
    lp_sequence out[2];
    ck_assert_int_eq(lp_sequence_sum(rows, NULL, inner, 2, out), LP_OK);
    ck_assert(out[0].logprob == -(double)width && out[1].logprob == -(double)width);
    uint8_t *keep = calloc(4 * width, 1);
    memset(keep + width, 1, 2 * width);
    ck_assert_int_eq(lp_sequence_sum(rows, keep, all, 1, out), LP_OK);
    ck_assert(out[0].tokens == 2 * width && out[0].mean == -1);
    free(keep);
    guard_free(&g);
}
END_TEST

START_TEST(rounding_modes)
{
    static float x[MAX_ROWS];
    rng r = rng_for("modes", 0, 0);
    for (size_t t = 0; t < MAX_ROWS; t++) {
        x[t] = -16 * rng_unit(&r);
    }
    const size_t offset[] = {0, MAX_ROWS};
    const int modes[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    lp_sequence want, got;
    ck_assert_int_eq(lp_sequence_sum(x, NULL, offset, 1, &want), LP_OK);
    for (size_t i = 0; i < COUNT(modes); i++) {
        fesetround(modes[i]);
        const lp_status status = lp_sequence_sum(x, NULL, offset, 1, &got);
        const int mode = fegetround();
        fesetround(FE_TONEAREST);
        ck_assert_int_eq(status, LP_OK);
        ck_assert_int_eq(mode, modes[i]);
        ck_assert_mem_eq(&got, &want, sizeof got);
    }
}
END_TEST

/* ---- lp_sequence_score: faults of rows and tokens ---------------------------------------------------------------- */
#define INF INFINITY
static const float logits[][3] = {{1, 2, 3},          {3, 3, 1},    {NAN, INF, 0}, {INF, 0, 0},
                                  {-INF, -INF, -INF}, {-INF, 0, 0}, {0, 0, 0},     {5, 1, 1}};
enum { ROWS = COUNT(logits) };

START_TEST(score_faults)
{
    const place at = {"lp_sequence_score", "faults", 3, 0};
    const lp_logits in = {.data = logits, .rows = ROWS, .vocab = 3};
    const struct {
        int32_t token[ROWS];
        lp_status status;
        uint64_t tokens;
    } cases[] = {{{2, 0, -1, -1, -1, 1, 0, 0}, LP_OK, 5},         {{3, 0, -1, -1, -1, 1, 0, 0}, LP_ERR_TOKEN, 5},
                 {{3, 0, -1, -1, 0, 1, 0, 0}, LP_ERR_EMPTY, 6},   {{3, 0, -1, 1, 7, 1, 0, 0}, LP_ERR_INF, 7},
                 {{0, 3, 9, 1, 0, -5, 0, 0}, LP_ERR_NAN, 7},      {{-1, -1, -1, -1, -1, -1, -1, -1}, LP_OK, 0},
                 {{-1, -1, -1, 9, -1, -1, -1, -1}, LP_ERR_INF, 1}};
    for (size_t c = 0; c < COUNT(cases); c++) {
        const size_t all[] = {0, ROWS}, each[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
        lp_sequence whole, one[ROWS];
        float logprob[ROWS], gathered[ROWS];
        memset(&whole, FILL, sizeof whole);
        memset(logprob, FILL, sizeof logprob);
        expect_status(&at, lp_sequence_score(&in, cases[c].token, NULL, all, 1, &whole, logprob), cases[c].status);
        expect_int(&at, c, whole.status, cases[c].status, "status");
        expect_int(&at, c, (int64_t)whole.tokens, (int64_t)cases[c].tokens, "tokens");
        if (cases[c].status != LP_OK) {
            const lp_sequence bad = bad_sequence(cases[c].tokens, cases[c].status);
            expect_sequence(&at, c, &whole, &bad);
        }
        lp_gather(&in, cases[c].token, 1, gathered);
        for (size_t t = 0; t < ROWS; t++) {
            expect_bits(&at, t, logprob[t], gathered[t], "token_logprob");
        }
        /* row by row, the call returns the lowest bad one's status */
        lp_status first = LP_OK;
        const lp_status status = lp_sequence_score(&in, cases[c].token, NULL, each, ROWS, one, NULL);
        for (size_t t = 0; t < ROWS; t++) {
            first = first == LP_OK ? one[t].status : first;
        }
        expect_int(&at, c, status, first, "status of the call");
    }
}
END_TEST

START_TEST(score_greedy_and_ties)
{
    const place at = {"lp_sequence_score", "greedy", 3, 0};
    const lp_logits in = {.data = logits, .rows = ROWS, .vocab = 3};
    const int32_t best[ROWS] = {2, 0, -1, -1, -1, 1, 0, 0};
    const size_t each[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    lp_sequence s[ROWS];
    expect_status(&at, lp_sequence_score(&in, best, NULL, each, ROWS, s, NULL), LP_OK);
    for (size_t t = 0; t < ROWS; t++) {
        expect_int(&at, t, s[t].greedy, 1, "the best, or none");
    }
    const int32_t other[ROWS] = {0, 1, -1, -1, -1, 2, 2, 1}; /* ties: the higher id is not the greedy one */
    expect_status(&at, lp_sequence_score(&in, other, NULL, each, ROWS, s, NULL), LP_OK);
    for (size_t t = 0; t < ROWS; t++) {
        expect_int(&at, t, s[t].greedy, other[t] < 0, "not the best, or none");
    }
    /* a token of no mass */
    const int32_t impossible[ROWS] = {-1, -1, -1, -1, -1, 0, 1, -1};
    const size_t all[] = {0, ROWS};
    expect_status(&at, lp_sequence_score(&in, impossible, NULL, all, 1, s, NULL), LP_OK);
    const lp_sequence want = {-INF, -INF, INF, 2, 5, -INF, 0, LP_OK, {0}};
    expect_sequence(&at, 0, s, &want);
}
END_TEST

/* token_logprob is written for every row: NaN where none was scored */
START_TEST(score_outputs)
{
    const place at = {"lp_sequence_score", "outputs", 3, 0};
    const lp_logits in = {.data = logits, .rows = ROWS, .vocab = 3};
    const int32_t token[ROWS] = {0, 1, 0, 0, 0, 1, 1, 1};
    const uint8_t keep[ROWS] = {1, 1, 0, 0, 0, 0, 1, 1};
    const size_t offset[] = {1, 3, 7};
    lp_sequence s[2];
    float logprob[ROWS], gathered[ROWS];
    memset(logprob, FILL, sizeof logprob);
    expect_status(&at, lp_sequence_score(&in, token, keep, offset, 2, s, logprob), LP_OK);
    lp_gather(&in, token, 1, gathered);
    for (size_t t = 0; t < ROWS; t++) {
        const bool scored = keep[t] && t >= 1 && t < 7;
        expect_bits(&at, t, logprob[t], scored ? gathered[t] : float_from_bits(NAN_BITS), "token_logprob");
    }
    /* nothing to do */
    const lp_logits none = {.vocab = 3};
    memset(s, FILL, sizeof s);
    lp_sequence untouched[2];
    memset(untouched, FILL, sizeof untouched);
    expect_status(&at, lp_sequence_score(&none, NULL, NULL, offset, 2, s, NULL), LP_OK);
    expect_status(&at, lp_sequence_score(&in, token, NULL, offset, 0, s, NULL), LP_OK);
    ck_assert_mem_eq(s, untouched, sizeof s);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *sum = add_case(suite, "sum");
    tcase_add_test(sum, ragged);
    tcase_add_test(sum, wide_range);
    tcase_add_test(sum, more_rows_than_room);
    tcase_add_test(sum, special_values);
    tcase_add_test(sum, bad_rows);
    tcase_add_test(sum, arguments);
    tcase_add_test(sum, never_read);
    tcase_add_test(sum, rounding_modes);
    TCase *score = add_case(suite, "score");
    tcase_add_test(score, score_faults);
    tcase_add_test(score, score_greedy_and_ties);
    tcase_add_test(score, score_outputs);
}

int main(void)
{
    return suite_main("sequence", add_cases);
}
