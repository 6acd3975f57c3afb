/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every function on the suite's ISA gives scalar's bytes, wherever the row lies, whatever its stride and
 * neighbours. */
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <stdlib.h>

typedef struct pair {
    results want, got; /* the reference's, and the suite's ISA's */
    lp_isa reference, isa;
} pair;

/* Scalar; for AVX-512 AVX2, where the grid is thinned: what that gives, this same suite holds to scalar's, which takes minutes where
 * nothing is optimised. */
static lp_isa reference_of(lp_isa isa)
{
    return isa == LP_ISA_AVX512 && test_quick() && lp_isa_supported(LP_ISA_AVX2) ? LP_ISA_AVX2 : LP_ISA_SCALAR;
}

static pair pair_new(void)
{
    pair p = {.reference = reference_of(lp_isa_active()), .isa = lp_isa_active()};
    results_init(&p.want, PLACE_HEAP);
    results_init(&p.got, PLACE_HEAP);
    return p;
}

static void pair_free(pair *p)
{
    results_free(&p->want);
    results_free(&p->got);
}

static void select_isa(lp_isa isa)
{
    EXPECT(lp_isa_select(isa) == LP_OK);
}

static void run(const call *c, const lp_logits *in, uint64_t seed, results *out, const place *at)
{
    results_clear(out);
    c->run(in, seed, out);
    results_check_margins(out, at);
}

/* The reference on `plain`, the suite's ISA on `placed`: the same values, lying differently. */
static void compare_calls(pair *p, const lp_logits *plain, const lp_logits *placed, uint64_t seed, place at)
{
    for (size_t i = 0; i < call_count; i++) {
        if (plain->vocab <= calls[i].max_vocab) {
            at.function = calls[i].name;
            select_isa(p->reference);
            run(&calls[i], plain, seed, &p->want, &at);
            select_isa(p->isa);
            run(&calls[i], placed, seed, &p->got, &at);
            results_expect_equal(&p->got, &p->want, &at);
        }
    }
}

/* One row of a class and form against itself at several places: element offsets 0..15, then odd byte offsets.
 */
static void compare_row(pair *p, const row_class *c, const form *f, size_t n, size_t first, size_t places, size_t step)
{
    rng r = rng_for(c->name, n, 1);
    float *x = malloc(n * sizeof *x);
    c->fill(x, n, &r);
    const uint64_t seed = rng_next(&r);
    matrix plain = matrix_new(f, x, 1, n, (layout){.side = AT_START}, seed);
    for (size_t i = first; i < first + places * step; i += step) {
        const size_t offset = i % 18 < 16 ? i % 18 * dtype_size(f->dtype) : 1 + 2 * (i % 18 - 16);
        matrix placed = matrix_new(f, x, 1, n, (layout){.offset = offset, .side = i % 2 ? AT_START : AT_END}, seed);
        compare_calls(p, &plain.in, &placed.in, seed, (place){NULL, c->name, n, offset});
        matrix_free(&placed);
    }
    matrix_free(&plain);
    free(x);
}

static void compare_shapes(const size_t *shape, size_t shapes, size_t places)
{
    pair p = pair_new();
    for (size_t f = 0; f < form_count; f++) {
        for (size_t c = 0; c < row_class_count; c++) {
            /* Plain f32 meets every class in every shape; each other form meets a part, another one each. */
            const size_t step = (f == 0 ? 1U : 17U) * test_step(5);
            for (size_t i = (c + f) % step; i < shapes; i += step) {
                compare_row(&p, &row_classes[c], &forms[f], shape[i], i + c, places, 7);
            }
        }
    }
    pair_free(&p);
}

START_TEST(small_rows)
{
    compare_shapes(small_shapes, small_shape_count, test_quick() ? 1 : 2);
}
END_TEST

START_TEST(rows_of_blocks)
{
    compare_shapes(block_shapes, block_shape_count, 1);
}
END_TEST

/* Every offset, at two shapes that have a tail. */
START_TEST(offsets)
{
    pair p = pair_new();
    const size_t shapes[] = {61, LP_BLOCK + 33};
    for (size_t i = 0; i < COUNT(shapes); i++) {
        compare_row(&p, row_class_named("normal"), &forms[0], shapes[i], 0, 36, 1);
        compare_row(&p, row_class_named("ties_coarse"), &forms[0], shapes[i], 0, 36, 1);
    }
    pair_free(&p);
}
END_TEST

START_TEST(vocabularies)
{
    pair p = pair_new();
    const size_t shapes = test_quick() ? 1 : vocab_shape_count;
    for (size_t c = 0; c < row_class_count; c += test_step(6)) {
        /* Each class meets a large shape, each large shape a quarter of the classes. */
        compare_row(&p, &row_classes[c], &forms[0], vocab_shapes[c % shapes], c, 1, 1);
    }
    for (size_t f = 1; f < form_count; f += test_step(4)) {
        compare_row(&p, &row_classes[f % row_class_finite], &forms[f], vocab_shapes[f % shapes], f, 1, 1);
    }
    pair_free(&p);
}
END_TEST

/* A batch with gaps between its rows, which are of different classes, gives what its rows give alone. Of short
 * rows, more than are finished at once. */
static void compare_batch(pair *p, size_t class, const form *f, size_t n, size_t stride)
{
    const size_t rows = n < LP_BLOCK - 1 ? 9 : 3;
    const row_class *c = &row_classes[class];
    rng r = rng_for(c->name, n, stride);
    float *x = malloc(rows * n * sizeof *x);
    for (size_t row = 0; row < rows; row++) {
        row_classes[(class + row) % row_class_count].fill(x + row * n, n, &r);
    }
    const uint64_t seed = rng_next(&r);
    matrix batch = matrix_new(f, x, rows, n, (layout){.stride = stride, .side = AT_END}, seed);
    matrix dense = matrix_new(f, x, rows, n, (layout){.side = AT_END}, seed);
    compare_calls(p, &dense.in, &batch.in, seed, (place){"batch", c->name, n, 0});
    for (size_t i = 0; i < call_count; i++) {
        if (!calls[i].by_row) {
            continue;
        }
        const place at = {calls[i].name, c->name, n, 0};
        run(&calls[i], &batch.in, seed, &p->got, &at);
        for (size_t row = 0; row < rows; row++) {
            const lp_logits one = matrix_row(&batch.in, row);
            run(&calls[i], &one, seed + row, &p->want, &at);
            results slice = p->got;
            slice.region[0] = p->want.region[0]; /* the returned status is the batch's */
            for (size_t j = 1; j < slice.regions; j++) {
                slice.region[j].count /= rows;
                slice.region[j].data =
                    (char *)slice.region[j].data + row * slice.region[j].count * kind_size(slice.region[j].kind);
            }
            results_expect_equal(&slice, &p->want, &at);
        }
    }
    matrix_free(&dense);
    matrix_free(&batch);
    free(x);
}

START_TEST(batches)
{
    pair p = pair_new();
    const size_t shapes[] = {1, 7, 32, 63, LP_BLOCK - 1, LP_BLOCK, 2 * LP_BLOCK + 31};
    for (size_t f = 0; f < form_count; f++) {
        for (size_t c = 0; c < row_class_count; c++) {
            const size_t step = (f == 0 ? 1U : 7U) * test_step(3);
            for (size_t i = (c + f) % step; i < COUNT(shapes); i += step) {
                compare_batch(&p, c, &forms[f], shapes[i], shapes[i] + 1 + c % 40);
            }
        }
    }
    pair_free(&p);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "isa");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, offsets);
    tcase_add_test(tcase, vocabularies);
    tcase_add_test(tcase, batches);
}

int main(void)
{
    return suite_main("isa", add_cases);
}
