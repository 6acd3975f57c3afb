/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* No byte is read outside the rows, none written outside the outputs: every buffer ends or begins at a page that faults. */
#define _DEFAULT_SOURCE
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static place current; /* what runs, for the handler */

/* A fault is the failure of the function that ran: say which, as text that needs no further memory. */
static void on_fault(int signal)
{
    char text[256];
    (void)signal;
    const int length =
        snprintf(text, sizeof text, "%s touched a guard page: isa %s, values %s, n %zu, offset %zu\n", current.function,
                 lp_isa_name(lp_isa_active()), current.values, current.n, current.offset);
    if (write(STDERR_FILENO, text, (size_t)length) < 0) {
        _exit(2);
    }
    _exit(1);
}

static void catch_faults(void)
{
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
}

static void run_all(const lp_logits *in, results *plain, results *fenced, uint64_t seed)
{
    for (size_t c = 0; c < call_count; c++) {
        if (in->vocab <= calls[c].max_vocab) {
            current.function = calls[c].name;
            results_clear(plain);
            results_clear(fenced);
            calls[c].run(in, seed, plain);
            calls[c].run(in, seed, fenced);
            results_expect_equal(fenced, plain, &current);
        }
    }
}

static void check_matrix(const form *f, const float *x, size_t rows, size_t n, results *plain, results *fenced)
{
    static const size_t offsets[] = {0, 1, 4, 6};
    /* Plain f32 lies at each place, the other forms at one of them, another one for each shape. */
    const size_t places = 2 * COUNT(offsets), step = f == forms ? 1 : places;
    for (size_t i = n % step; i < places; i += step) {
        const size_t offset = offsets[i / 2];
        const layout where = {.stride = rows > 1 ? n + 3 : 0, .offset = offset, .side = i % 2 ? AT_END : AT_START};
        current.offset = offset;
        matrix m = matrix_new(f, x, rows, n, where, n);
        run_all(&m.in, plain, fenced, n);
        matrix_free(&m);
    }
}

static void check_shape(size_t rows, size_t n, placement outputs)
{
    float *x = malloc(rows * n * sizeof *x);
    results plain, fenced;
    results_init(&plain, PLACE_HEAP);
    results_init(&fenced, outputs);
    const char *const names[] = {"normal", "half_minus_inf", "any_bits"};
    for (size_t i = 0; i < COUNT(names); i++) {
        rng r = rng_for("guard", n, i);
        const row_class *c = row_class_named(names[i]);
        current = (place){NULL, c->name, n, 0};
        for (size_t row = 0; row < rows; row++) {
            c->fill(x + row * n, n, &r);
        }
        for (size_t f = 0; f < form_count; f++) {
            check_matrix(&forms[f], x, rows, n, &plain, &fenced);
        }
    }
    results_free(&plain);
    results_free(&fenced);
    free(x);
}

START_TEST(small_rows)
{
    catch_faults();
    for (size_t i = 0; i < small_shape_count; i += test_step(11)) {
        check_shape(1, small_shapes[i], i % 2 ? PLACE_GUARD_START : PLACE_GUARD_END);
    }
}
END_TEST

START_TEST(rows_of_blocks)
{
    catch_faults();
    for (size_t i = 0; i < block_shape_count; i += test_step(7)) {
        check_shape(1, block_shapes[i], i % 2 ? PLACE_GUARD_START : PLACE_GUARD_END);
    }
}
END_TEST

START_TEST(batches)
{
    catch_faults();
    check_shape(3, 37, PLACE_GUARD_END);
    check_shape(3, LP_BLOCK + 1, PLACE_GUARD_END);
}
END_TEST

/* Each row at the end of pages of its own, with a page that faults before the next: strides are never touched. */
START_TEST(pages_between_rows)
{
    enum { ROWS = 3 };
    const size_t page = guard_page(), shapes[] = {1, 31, 33, 1023, LP_BLOCK, LP_BLOCK + 1, 3000};
    results plain, fenced;
    results_init(&plain, PLACE_HEAP);
    results_init(&fenced, PLACE_GUARD_END);
    catch_faults();
    for (size_t i = 0; i < COUNT(shapes); i++) {
        const size_t n = shapes[i], bytes = 4 * n, pages = (bytes + page - 1) / page, stride = (pages + 1) * page;
        unsigned char *map = mmap(NULL, page + ROWS * stride, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        ck_assert(map != MAP_FAILED);
        rng r = rng_for("pages", n, 0);
        for (size_t row = 0; row < ROWS; row++) {
            unsigned char *first = map + page + row * stride;
            ck_assert_int_eq(mprotect(first, pages * page, PROT_READ | PROT_WRITE), 0);
            row_class_named("normal")->fill((float *)(void *)(first + pages * page - bytes), n, &r);
            ck_assert_int_eq(mprotect(first, pages * page, PROT_READ), 0);
        }
        current = (place){NULL, "pages between rows", n, 0};
        const lp_logits in = {
            .data = map + page + pages * page - bytes, .rows = ROWS, .vocab = n, .stride = stride / 4};
        run_all(&in, &plain, &fenced, n);
        munmap(map, page + ROWS * stride);
    }
    results_free(&plain);
    results_free(&fenced);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "guard");
    tcase_add_test(tcase, small_rows);
    tcase_add_test(tcase, rows_of_blocks);
    tcase_add_test(tcase, batches);
    tcase_add_test(tcase, pages_between_rows);
}

int main(void)
{
    return suite_main("guard", add_cases);
}
