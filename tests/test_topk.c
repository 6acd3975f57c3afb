/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* lp_topk against a plain stable sort: descending logits, ties lowest id first, any k. */
#include "forms.h"
#include "rows.h"

#include <math.h>
#include <stdlib.h>

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

/* The k best of lp_topk and of lp_score are the first k of the sorted row; where there are fewer, id -1, -inf. */
static void check_topk(place at, const lp_logits *in, const entry *best, const float *logprob_of, size_t k)
{
    guarded values = guard_new(4 * k, AT_END, 0), ids = guard_new(4 * k, AT_END, 0);
    float *logprob = (float *)(void *)values.data;
    int32_t *token = (int32_t *)(void *)ids.data;
    for (int which = 0; which < 2; which++) {
        at.function = which ? "lp_score" : "lp_topk";
        const lp_scores scores = {.top_logprob = logprob, .top_token = token};
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
        for (size_t i = 0; i < small_shape_count; i += test_quick() ? 9 : 1) {
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
        for (size_t i = 0; i < block_shape_count; i += test_quick() ? 7 : 1) {
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
    for (size_t i = 0; i < COUNT(names); i += test_quick() ? 2 : 1) {
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

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "topk");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, whole_vocabulary);
    tcase_add_test(tcase, whole_vocabulary_of_clusters);
    tcase_add_test(tcase, prefixes);
}

int main(void)
{
    return suite_main("topk", add_cases);
}
