/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The largest sizes there are: vocabularies of 2^31 - 1, and rows and strides whose product is far beyond 2^32, in address
 * space of which only some pages exist. */
#define _GNU_SOURCE
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROWS = 3, K = 5 };
#define LARGEST ((size_t)INT32_MAX)
#define FAR (((size_t)1 << 31) + 1027) /* elements from row to row, no multiple of a page */

static unsigned char *reserve(size_t bytes)
{
    unsigned char *map = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(map != MAP_FAILED, "address space");
    return map;
}

/* Makes the pages of [at, at + bytes) memory that can be written. */
static void *populate(unsigned char *at, size_t bytes)
{
    const size_t page = guard_page(), before = (uintptr_t)at % page;
    require(mprotect(at - before, before + bytes, PROT_READ | PROT_WRITE) == 0, "mprotect");
    return at;
}

/* Address space that is the same memory again and again. */
static unsigned char *repeat(size_t bytes, size_t piece)
{
    const int file = memfd_create("piece", 0);
    require(file >= 0 && ftruncate(file, (off_t)piece) == 0, "memfd");
    unsigned char *map = reserve(bytes);
    for (size_t at = 0; at < bytes; at += piece) {
        const size_t n = bytes - at < piece ? bytes - at : piece;
        require(mmap(map + at, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_POPULATE, file, 0) != MAP_FAILED,
                "mmap");
    }
    close(file);
    return map;
}

/* ---- strides ------------------------------------------------------------------------------------------------------ */

/* Rows that lie 2^31 elements apart give what they give side by side. */
static void check_far_rows(const form *f, size_t n)
{
    float *x = malloc(ROWS * n * sizeof *x);
    rng r = rng_for("extremes", n, (uint64_t)(f - forms));
    for (size_t row = 0; row < ROWS; row++) {
        row_class_named(row == 1 ? "any_bits" : "normal")->fill(x + row * n, n, &r);
    }
    matrix near = matrix_new(f, x, ROWS, n, (layout){.side = AT_END}, n);
    const size_t size = dtype_size(f->dtype), words = (n + 31) / 32;
    const size_t bytes = ((ROWS - 1) * FAR + n) * size, mask_bytes = ((ROWS - 1) * FAR + words) * 4;
    unsigned char *data = reserve(bytes), *mask = reserve(mask_bytes);
    lp_logits far = near.in;
    far.data = data;
    far.stride = FAR;
    for (size_t row = 0; row < ROWS; row++) {
        const lp_logits one = matrix_row(&near.in, row);
        memcpy(populate(data + row * FAR * size, n * size), one.data, n * size);
        if (one.allowed) {
            memcpy(populate(mask + row * FAR * 4, words * 4), one.allowed, words * 4);
            far.allowed = (const uint32_t *)(const void *)mask;
            far.allowed_stride = FAR;
        }
    }
    results want, got;
    results_init(&want, PLACE_HEAP);
    results_init(&got, PLACE_HEAP);
    for (size_t c = 0; c < call_count; c++) {
        const place at = {calls[c].name, "rows that lie 2^31 apart", n, FAR};
        results_clear(&want);
        results_clear(&got);
        calls[c].run(&near.in, n, &want);
        calls[c].run(&far, n, &got);
        results_expect_equal(&got, &want, &at);
    }
    results_free(&want);
    results_free(&got);
    munmap(data, bytes);
    munmap(mask, mask_bytes);
    matrix_free(&near);
    free(x);
}

START_TEST(far_inputs)
{
    for (size_t f = 0; f < form_count; f += test_step(5)) {
        check_far_rows(&forms[f], 37);
        check_far_rows(&forms[f], LP_BLOCK + 5);
    }
}
END_TEST

/* Outputs 2^31 elements apart: all at their place. */
START_TEST(far_outputs)
{
    enum { N = 100 };
    float x[ROWS * N], near[ROWS * N], near_top[ROWS * K];
    int32_t near_token[ROWS * K];
    rng r = rng_for("extremes", 0, 0);
    row_class_named("normal")->fill(x, ROWS * N, &r);
    const lp_logits in = {.data = x, .rows = ROWS, .vocab = N};
    const size_t bytes = ((ROWS - 1) * FAR + N) * 4;
    unsigned char *map[4];
    for (size_t i = 0; i < COUNT(map); i++) {
        map[i] = reserve(bytes);
        for (size_t row = 0; row < ROWS; row++) {
            populate(map[i] + row * FAR * 4, N * 4);
        }
    }
    const lp_scores scores = {
        .top_logprob = (float *)(void *)map[2], .top_token = (int32_t *)(void *)map[3], .top_stride = FAR};
    ck_assert_int_eq(lp_log_softmax(&in, near, 0), LP_OK);
    ck_assert_int_eq(lp_log_softmax(&in, (float *)(void *)map[0], FAR), LP_OK);
    ck_assert_int_eq(lp_transform(&in, (float *)(void *)map[1], FAR), LP_OK);
    ck_assert_int_eq(lp_topk(&in, K, near_top, near_token), LP_OK);
    ck_assert_int_eq(lp_score(&in, NULL, K, &scores), LP_OK);
    for (size_t row = 0; row < ROWS; row++) {
        ck_assert_mem_eq(map[0] + row * FAR * 4, near + row * N, N * 4);
        ck_assert_mem_eq(map[1] + row * FAR * 4, x + row * N, N * 4);
        ck_assert_mem_eq(map[2] + row * FAR * 4, near_top + row * K, K * 4);
        ck_assert_mem_eq(map[3] + row * FAR * 4, near_token + row * K, K * 4);
    }
    for (size_t i = 0; i < COUNT(map); i++) {
        munmap(map[i], bytes);
    }
}
END_TEST

/* ---- vocabularies ------------------------------------------------------------------------------------------------- */

typedef struct scored {
    float logsumexp, entropy, max_logit, log_norm, token_logprob, top_logprob[K];
    int32_t rank, ties, top_token[K];
    lp_status status;
} scored;

static scored score(const lp_logits *in, int32_t token)
{
    scored s;
    const lp_scores out = {.logsumexp = &s.logsumexp,
                           .entropy = &s.entropy,
                           .max_logit = &s.max_logit,
                           .log_norm = &s.log_norm,
                           .token_logprob = &s.token_logprob,
                           .token_rank = &s.rank,
                           .token_rank_ties = &s.ties,
                           .top_logprob = s.top_logprob,
                           .top_token = s.top_token};
    s.status = lp_score(in, &token, K, &out);
    return s;
}

/* 2^31 - 1 logits, -inf but for a few: the bits of a stream that got those blocks alone. */
START_TEST(few_of_the_largest_vocabulary)
{
    static const int32_t id[] = {0, 1, 1 << 30, (1 << 30) + 77, INT32_MAX - 2, INT32_MAX - 1};
    static const uint16_t logit[] = {0x3f80, 0xc000, 0x4040, 0x3f80, 0x4040, 0x4080}; /* bf16: 1, -2, 3, 1, 3, 4 */
    enum { PIECE = 1 << 24, MINUS_INF = 0xff80 };
    if (test_quick()) {
        return;
    }
    unsigned char *map = repeat(LARGEST * 2, PIECE);
    uint16_t *row = (uint16_t *)(void *)map;
    for (size_t i = 0; i < PIECE / 2; i++) {
        row[i] = MINUS_INF;
    }
    unsigned char state[2][LP_STREAM_SIZE(K)];
    lp_stream *const all = (lp_stream *)(void *)state[0], *const part = (lp_stream *)(void *)state[1];
    const int32_t token = INT32_MAX - 1;
    ck_assert_int_eq(lp_stream_init(all, sizeof state[0], K, 0, token), LP_OK);
    for (size_t i = 0; i < COUNT(id); i++) {
        /* a page of its own for the block, which is no longer what the others are */
        const size_t first = (size_t)id[i] / LP_BLOCK * LP_BLOCK,
                     n = LARGEST - first < LP_BLOCK ? LARGEST - first : LP_BLOCK;
        unsigned char *page = map + first * 2;
        if (i == 0 || first != (size_t)id[i - 1] / LP_BLOCK * LP_BLOCK) {
            void *own =
                mmap(page, LP_BLOCK * 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            require(own != MAP_FAILED, "mmap");
            for (size_t j = 0; j < n; j++) {
                row[first + j] = MINUS_INF;
            }
        }
        row[id[i]] = logit[i];
        if (i + 1 == COUNT(id) || first != (size_t)id[i + 1] / LP_BLOCK * LP_BLOCK) {
            const lp_logits chunk = {.data = page, .rows = 1, .vocab = n, .dtype = LP_BF16};
            ck_assert_int_eq(lp_stream_init(part, sizeof state[1], K, (int32_t)first, token), LP_OK);
            ck_assert_int_eq(lp_stream_push(part, &chunk), LP_OK);
            ck_assert_int_eq(lp_stream_merge(all, part), LP_OK);
        }
    }
    const lp_logits in = {.data = row, .rows = 1, .vocab = LARGEST, .dtype = LP_BF16};
    const scored got = score(&in, token);
    lp_row want;
    float top[K];
    int32_t top_token[K];
    ck_assert_int_eq(lp_stream_finish(all, &want, top, top_token), LP_OK);
    ck_assert_int_eq(got.status, LP_OK);
    ck_assert(same_bits(got.logsumexp, want.logsumexp) && same_bits(got.entropy, want.entropy) &&
              same_bits(got.log_norm, want.log_norm) && same_bits(got.token_logprob, want.token_logprob));
    ck_assert_mem_eq(got.top_logprob, top, sizeof top);
    ck_assert_mem_eq(got.top_token, top_token, sizeof top_token);
    ck_assert_int_eq(got.top_token[0], INT32_MAX - 1);
    ck_assert_int_eq(got.rank, 1);
    ck_assert_int_eq(got.ties, 1);
    munmap(map, LARGEST * 2);
}
END_TEST

/* What takes seconds is done once: the loops are the same ones on every ISA. */
static bool is_best_isa(void)
{
    for (lp_isa better = lp_isa_active() + 1; better <= LP_ISA_NEON; better++) {
        if (lp_isa_supported(better)) {
            return false;
        }
    }
    return true;
}

/* 2^31 - 1 equal logits, read from pages of zeros. */
START_TEST(largest_vocabulary_of_equals)
{
    enum { PIECE = 1 << 26 };
    if (test_quick() || !is_best_isa()) {
        return;
    }
    const double ln = log((double)LARGEST), ulp = ulp_of(ln);
    const lp_logits in = {.data = reserve(LARGEST * 2), .rows = 1, .vocab = LARGEST, .dtype = LP_F16};
    madvise((void *)(uintptr_t)in.data, LARGEST * 2,
            MADV_HUGEPAGE); /* fewer faults where that works; nothing needs it */
    const scored got = score(&in, INT32_MAX - 1);
    ck_assert_int_eq(got.status, LP_OK);
    ck_assert_double_eq_tol((double)got.logsumexp, ln, ulp);
    ck_assert_double_eq_tol((double)got.entropy, ln, ulp);
    ck_assert_double_eq_tol((double)got.token_logprob, -ln, ulp);
    ck_assert_int_eq(got.rank, 1);
    ck_assert_int_eq(got.ties, INT32_MAX);
    for (int32_t i = 0; i < K; i++) {
        ck_assert_int_eq(got.top_token[i], i);
    }
    double kl = -1, reverse = -1;
    int32_t top = -1;
    const lp_divergence divergence = {.kl = &kl, .reverse_kl = &reverse, .p_top = &top};
    ck_assert_int_eq(lp_compare(&in, &in, NULL, &divergence), LP_OK);
    ck_assert(kl == 0 && reverse == 0 && top == 0);

    unsigned char *map = repeat(LARGEST * 4, PIECE);
    const float *out = (float *)(void *)map;
    ck_assert_int_eq(lp_log_softmax(&in, (float *)(void *)map, 0), LP_OK);
    size_t equal = 0; /* an assertion for each of them would take a minute */
    while (equal < PIECE / 4 && same_bits(out[equal], got.token_logprob)) {
        equal++;
    }
    ck_assert_uint_eq(equal, PIECE / 4);
    munmap(map, LARGEST * 4);
    munmap((void *)(uintptr_t)in.data, LARGEST * 2);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "extremes");
    tcase_add_test(tcase, far_inputs);
    tcase_add_test(tcase, far_outputs);
    tcase_add_test(tcase, few_of_the_largest_vocabulary);
    tcase_add_test(tcase, largest_vocabulary_of_equals);
}

int main(void)
{
    return sizeof(size_t) < 8 ? 77 : suite_main("extremes", add_cases); /* skipped where there is no room */
}
