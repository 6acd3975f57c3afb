/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Rows of which little is left, by -inf or under a mask: how much decides how a block is summed, and no bit. The logits reach
 * past both ends of the floats whose exponential is one, where a block must be summed another way. */
#include "bounds.h"
#include "oracle.h"
#include "rows.h"

#include <math.h>
#include <string.h>

enum { MOST = 3 * LP_BLOCK + LP_BLOCK / 2, TOP = 20, MASK_WORDS = (MOST + 31) / 32 };

typedef struct results {
    float logsumexp, entropy, only_logsumexp, only_entropy, logprob, top_logprob[TOP];
    int32_t rank, ties, top[TOP];
} results;

typedef struct range {
    const char *name;
    float middle, spread; /* normal, with this standard deviation */
} range;

static const range ranges[] = {{"ordinary", 0, 3}, {"apart", 0, 10},    {"close", 1, 0.01F},
                               {"wide", 0, 60},    {"high", 80, 4},     {"past the top", 89, 1},
                               {"low", -80, 5},    {"far", -5000, 300}, {"at the bottom", -88, 1}};

static void score(const place *at, const lp_logits *in, int32_t token, results *r)
{
    const size_t k = TOP < in->vocab ? TOP : in->vocab;
    const lp_scores all = {.logsumexp = &r->logsumexp,
                           .entropy = &r->entropy,
                           .token_logprob = &r->logprob,
                           .token_rank = &r->rank,
                           .token_rank_ties = &r->ties,
                           .top_token = r->top,
                           .top_logprob = r->top_logprob};
    memset(r, 0, sizeof *r);
    expect_status(at, lp_score(in, &token, k, &all), LP_OK);
    expect_status(at, lp_logsumexp(in, &r->only_logsumexp), LP_OK);
    expect_status(at, lp_entropy(in, &r->only_entropy), LP_OK);
    expect_bits(at, 0, r->logsumexp, r->only_logsumexp, "logsumexp, alone and with the others");
    expect_bits(at, 0, r->entropy, r->only_entropy, "entropy, alone and with the others");
}

/* The sums of a row before anything is rounded to a float, as a stream's state has them (docs/streams.md): the same bytes, whether
 * there is a list, which decides how some blocks are summed, and whether what lacks is masked or -inf. */
static void check_sums(const place *at, const lp_logits *absent, const lp_logits *masked)
{
    enum { ROW = 304, ROW_BYTES = 160 };
    static unsigned char state[4][LP_STREAM_SIZE(TOP)];
    for (int i = 0; i < 4; i++) {
        lp_stream *stream = (lp_stream *)(void *)state[i];
        expect_status(at, lp_stream_init(stream, sizeof state[i], i % 2 == 0 ? 0 : TOP, 0, -1), LP_OK);
        expect_status(at, lp_stream_push(stream, i < 2 ? absent : masked), LP_OK);
        if (memcmp(state[i] + ROW, state[0] + ROW, ROW_BYTES) != 0) {
            fail_at(at, 0, (double)i, 0, "the sums of a stream differ");
        }
    }
}

/* `some` of a thousand are there */
static void check(const range *values, size_t n, uint32_t some, rng *r)
{
    static float x[MOST], kept[MOST];
    static uint32_t allowed[MASK_WORDS];
    const place at = {"lp_score", values->name, n, some};
    const int32_t sure = (int32_t)rng_below(r, (uint32_t)n), token = rng_below(r, 2) ? sure : 0;
    memset(allowed, 0, sizeof allowed);
    for (size_t i = 0; i < n; i++) {
        const int there = (int32_t)i == sure || rng_below(r, 1000) < some;
        x[i] = values->middle + values->spread * rng_bell(r);
        kept[i] = there ? x[i] : -INFINITY;
        allowed[i / 32] |= (uint32_t)there << i % 32;
    }
    results absent, masked, both;
    const lp_logits plain = {.data = kept, .rows = 1, .vocab = n};
    score(&at, &plain, token, &absent);
    const lp_logits under_mask = {.data = x, .rows = 1, .vocab = n, .allowed = allowed};
    score(&at, &under_mask, token, &masked);
    if (memcmp(&absent, &masked, sizeof absent) != 0) {
        fail_at(&at, 0, (double)masked.logsumexp, (double)absent.logsumexp, "a mask and -inf differ");
    }
    check_sums(&at, &plain, &under_mask);
    /* the mask allows what is -inf, too */
    for (size_t i = 0; i < n; i += 1 + rng_below(r, 5)) {
        allowed[i / 32] |= 1U << i % 32;
    }
    const lp_logits allowed_more = {.data = kept, .rows = 1, .vocab = n, .allowed = allowed};
    score(&at, &allowed_more, token, &both);
    if (memcmp(&absent, &both, sizeof absent) != 0) {
        fail_at(&at, 0, (double)both.logsumexp, (double)absent.logsumexp, "a mask that allows -inf differs");
    }

    const oracle o = oracle_row(kept, n);
    if (!logsumexp_holds(&o, absent.logsumexp)) {
        fail_at(&at, 0, (double)absent.logsumexp, o.logsumexp, "logsumexp out of bounds");
    }
    if (!entropy_holds(&o, absent.entropy)) {
        fail_at(&at, 0, (double)absent.entropy, o.entropy, "entropy out of bounds");
    }
}

START_TEST(densities)
{
    static const uint32_t some[] = {0, 1, 5, 10, 20, 40, 80, 150, 400, 800, 999};
    const size_t rows = test_quick() ? 2 : 20;
    for (size_t i = 0; i < COUNT(ranges); i++) {
        for (size_t j = 0; j < COUNT(some); j++) {
            rng r = rng_for(ranges[i].name, j, 31);
            for (size_t k = 0; k < rows; k++) {
                const size_t whole = 1 + rng_below(&r, MOST / LP_BLOCK);
                check(&ranges[i], k % 2 == 0 ? whole * LP_BLOCK : 1 + rng_below(&r, MOST), some[j], &r);
            }
        }
    }
}
END_TEST

/* NaN and +inf among the few are seen, whatever shares their lane. */
START_TEST(bad)
{
    enum { N = 2 * LP_BLOCK, GROUP = 256, LANES = 32 };
    static float x[N];
    rng r = rng_for("bad", 0, 32);
    for (int round = 0; round < (test_quick() ? 50 : 500); round++) {
        const uint32_t some = 1U << rng_below(&r, 10);
        for (size_t i = 0; i < N; i++) {
            x[i] = rng_below(&r, 1000) < some ? rng_bell(&r) : -INFINITY;
        }
        const size_t where = rng_below(&r, N);
        const bool nan = rng_below(&r, 2) != 0;
        /* its lane's other elements: most are -inf, one or two may be there */
        for (uint32_t other = rng_below(&r, 3); other-- > 0;) {
            x[where / GROUP * GROUP + rng_below(&r, GROUP / LANES) * LANES + where % LANES] = rng_bell(&r);
        }
        x[where] = nan ? NAN : INFINITY;
        float logsumexp, entropy;
        const place at = {"lp_entropy", nan ? "NaN" : "+inf", N, where};
        const lp_logits in = {.data = x, .rows = 1, .vocab = N};
        const lp_status want = nan ? LP_ERR_NAN : LP_ERR_INF;
        expect_status(&at, lp_entropy(&in, &entropy), want);
        expect_status(&at, lp_logsumexp(&in, &logsumexp), want);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *all = add_case(suite, "all");
    tcase_add_test(all, densities);
    tcase_add_test(all, bad);
}

int main(void)
{
    return suite_main("sparse", add_cases);
}
