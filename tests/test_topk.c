/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_topk against a plain stable sort: descending logits, ties lowest id first, any k. */
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    float x;
    int32_t id;
} entry;

static int descending_then_id(const void *a, const void *b)
{
    const entry *p = a, *q = b;
    if (p->x != q->x) {
        return p->x > q->x ? -1 : 1;
    }
    return p->id < q->id ? -1 : 1;
}

static entry *sorted(const float *x, size_t n)
{
    entry *e = malloc(n * sizeof *e);
    for (size_t i = 0; i < n; i++) {
        e[i] = (entry){x[i], (int32_t)i};
    }
    qsort(e, n, sizeof *e, descending_then_id);
    return e;
}

/* The k best of lp_topk and of lp_score, with an entropy and without, are the first k of the sorted row; where there are fewer,
 * id -1, -inf. */
static void check_topk(place at, const lp_logits *in, const entry *best, const float *logprob_of, size_t k)
{
    guarded values = guard_new(4 * k, AT_END, 0), ids = guard_new(4 * k, AT_END, 0);
    float *logprob = (float *)(void *)values.data;
    int32_t *token = (int32_t *)(void *)ids.data;
    for (int which = 0; which < 3; which++) {
        float entropy = 0;
        at.function = which == 0 ? "lp_topk" : which == 1 ? "lp_score" : "lp_score with an entropy";
        const lp_scores scores = {.top_logprob = logprob, .top_token = token, .entropy = which == 2 ? &entropy : NULL};
        expect_status(&at, which ? lp_score(in, NULL, k, &scores) : lp_topk(in, k, logprob, token), LP_OK);
        for (size_t i = 0; i < k; i++) {
            const bool there = i < in->vocab && best[i].x != -INFINITY;
            expect_int(&at, i, token[i], there ? best[i].id : -1, "token");
            expect_bits(&at, i, logprob[i], there ? logprob_of[best[i].id] : -INFINITY, "logprob");
        }
    }
    guard_free(&values);
    guard_free(&ids);
}

static void check_row(const row_class *c, size_t n, const size_t *ks, size_t k_count)
{
    rng r = rng_for(c->name, n, 3);
    float *x = malloc(n * sizeof *x), *logprob = malloc(n * sizeof *logprob);
    c->fill(x, n, &r);
    const size_t offset = rng_below(&r, 16);
    matrix m = matrix_new(&forms[0], x, 1, n, (layout){.offset = 4 * offset, .side = AT_START}, 0);
    ck_assert_int_eq(lp_log_softmax(&m.in, logprob, 0), LP_OK);
    entry *best = sorted(x, n);
    for (size_t i = 0; i < k_count; i++) {
        check_topk((place){NULL, c->name, n, offset}, &m.in, best, logprob, ks[i]);
    }
    free(best);
    matrix_free(&m);
    free(x);
    free(logprob);
}

START_TEST(small_rows)
{
    for (size_t c = 0; c < row_class_finite; c++) {
        for (size_t i = 0; i < small_shape_count; i += test_step(9)) {
            const size_t n = small_shapes[i];
            const size_t ks[] = {0, 1, 2, 5, n - 1, n, n + 1, 2 * n + 40};
            check_row(&row_classes[c], n, ks, COUNT(ks));
        }
    }
}
END_TEST

START_TEST(rows_of_blocks)
{
    for (size_t c = 0; c < row_class_finite; c++) {
        for (size_t i = 0; i < block_shape_count; i += test_step(7)) {
            const size_t n = block_shapes[i];
            const size_t ks[] = {1, 3, 20, 100, LP_BLOCK - 1, LP_BLOCK + 1, n, n + 9};
            check_row(&row_classes[c], n, ks, COUNT(ks));
        }
    }
}
END_TEST

/* Ascending rows change the best k with every element; ties must not. */
START_TEST(vocabularies)
{
    static const char *const names[] = {"normal",      "ascending", "descending",
                                        "ties_coarse", "all_equal", "masked_1_percent"};
    const size_t ks[] = {1, 20, 257, 5000};
    for (size_t i = 0; i < COUNT(names); i += test_step(2)) {
        check_row(row_class_named(names[i]), vocab_shapes[test_quick() ? 0 : 1], ks, test_quick() ? 2 : COUNT(ks));
    }
}
END_TEST

/* k may be the whole of a large vocabulary. */
START_TEST(whole_vocabulary)
{
    static const char *const names[] = {"normal", "ties_coarse", "ascending"};
    const size_t n = vocab_shapes[0];
    for (size_t i = 0; i < COUNT(names) && !(test_quick() && i > 0); i++) {
        check_row(row_class_named(names[i]), n, &n, 1);
    }
}
END_TEST

/* Logits that a sort by where they lie finds close together: at one place, at many of a short stretch, or both. */
static void fill_clusters(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        const double where = rng_unit(r), at = rng_unit(r);
        x[i] = (float)(where < 0.4    ? 6 * at - 3
                       : where < 0.7  ? 1 + 1e-4 * at
                       : where < 0.85 ? 2.5
                       : where < 0.92 ? -1
                                      : -1 - 1e-3 * at);
    }
}

START_TEST(whole_vocabulary_of_clusters)
{
    const row_class clusters = {"clusters", fill_clusters, ROW_FINITE};
    const size_t ks[] = {513, 9000, vocab_shapes[0]}; /* 513 of as many are sorted where they lie, 512 are not */
    check_row(&clusters, vocab_shapes[0], ks + 1, 2);
    check_row(&clusters, 513, ks, 1);
    check_row(row_class_named("wide"), vocab_shapes[0], ks + 2, 1);
    check_row(row_class_named("zipf"), vocab_shapes[0], ks + 2, 1);
    check_row(row_class_named("float_max_signs"), vocab_shapes[0], ks + 2, 1);
}
END_TEST

/* The first j of k are the top j: each k of one row is a prefix of the next. */
START_TEST(prefixes)
{
    enum { N = 3 * LP_BLOCK + 7, K = 130 };
    size_t ks[K];
    for (size_t k = 0; k < K; k++) {
        ks[k] = k;
    }
    check_row(row_class_named("ties_coarse"), N, ks, K);
    check_row(row_class_named("half_minus_inf"), N, ks, K);
}
END_TEST

/* Blocks each of a kind, so that those in which a list looks for elements at once, those that are looked at later together with
 * others, and those that have none for it follow one another in any order, with ties from one to the next. */
static void fill_patchwork(float *x, size_t n, rng *r)
{
    const float levels[] = {-150, 9, 9};
    uint32_t kinds[3]; /* few, so that they meet */
    float rising = 7.5f;
    for (size_t i = 0; i < COUNT(kinds); i++) {
        kinds[i] = rng_below(r, 10);
    }
    for (size_t i = 0; i < n; i += LP_BLOCK) {
        const uint32_t kind = kinds[rng_below(r, COUNT(kinds))];
        const float level = levels[rng_below(r, COUNT(levels))];
        rising += 0.125f;
        for (size_t j = i; j < n && j < i + LP_BLOCK; j++) {
            const float bell = rng_bell(r) * 2;
            const uint32_t draw = rng_below(r, 100);
            x[j] = kind < 4    ? bell
                   : kind == 4 ? level
                   : kind == 5 ? (float)(int)bell
                   : kind == 6 ? (draw < 2 ? -INFINITY : bell)
                   : kind == 7 ? (j % 70 != 0 ? -INFINITY : level)
                   : kind == 8 ? rising + (float)(j - i) * 0x1p-14f
                               : level - (float)(draw / 25);
        }
    }
    x[rng_below(r, (uint32_t)n)] = 1;
}

/* A block of equal logits, and behind it two in which few are there, which equal them. */
static void fill_few_behind(float *x, size_t n, rng *r)
{
    for (size_t i = 0; i < n; i++) {
        const size_t block = i / LP_BLOCK;
        x[i] = block == 1 ? 9 : block > 2 ? (i % 70 != 0 ? -INFINITY : 9) : rng_bell(r);
    }
}

static void check_patchwork(const form *f, size_t n, uint64_t seed)
{
    static const size_t ks[] = {1, 5, 9, 10, 20, 64, 100, 127, 128, 129, 256, 257};
    rng r = rng_for("patchwork", n, seed);
    float *row = malloc(n * sizeof *row), *x = malloc(n * sizeof *x), *logprob = malloc(n * sizeof *logprob);
    fill_patchwork(row, n, &r);
    matrix m = matrix_new(f, row, 1, n, (layout){.offset = dtype_size(f->dtype), .side = AT_START}, seed);
    const size_t words = (n + 31) / 32;
    uint32_t *allowed = malloc(words * sizeof *allowed);
    for (size_t i = 0; i < words; i++) { /* of some blocks all, of others half */
        const bool whole = i * 32 / LP_BLOCK % 3 != seed % 3;
        allowed[i] = whole ? UINT32_MAX : (uint32_t)rng_next(&r);
    }
    if (f->mask != MASK_NONE) {
        m.in.allowed = allowed;
        m.in.allowed_stride = 0;
    }
    plain_row(&m.in, 0, x);
    ck_assert_int_eq(lp_log_softmax(&m.in, logprob, 0), LP_OK);
    entry *best = sorted(x, n);
    for (size_t i = 0; i < COUNT(ks); i++) {
        check_topk((place){NULL, f->name, n, seed}, &m.in, best, logprob, ks[i]);
    }
    free(best);
    matrix_free(&m);
    free(allowed);
    free(row);
    free(x);
    free(logprob);
}

START_TEST(patchwork)
{
    const row_class few_behind = {"few_behind", fill_few_behind, ROW_FINITE};
    const size_t ks[] = {1, 2, 20};
    check_row(&few_behind, (size_t)5 * LP_BLOCK, ks, COUNT(ks));
    static const char *const names[] = {
        "f32", "bf16", "f16", "f32-temperature", "f32-mask-half", "bf16-temperature-mask-all"};
    for (uint64_t seed = 0; seed < (test_quick() ? 8 : 40); seed++) {
        for (size_t i = 0; i < form_count; i++) {
            for (size_t j = 0; j < COUNT(names); j++) {
                if (strcmp(forms[i].name, names[j]) == 0) {
                    check_patchwork(&forms[i], (3 + seed % 20) * LP_BLOCK + 37 * seed, seed);
                }
            }
        }
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "topk");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, whole_vocabulary);
    tcase_add_test(tcase, whole_vocabulary_of_clusters);
    tcase_add_test(tcase, prefixes);
    tcase_add_test(tcase, patchwork);
}

int main(void)
{
    return suite_main("topk", add_cases);
}
