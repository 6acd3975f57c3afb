/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Digests of every function's result bytes over a fixed grid, compared with golden/digests.txt on every ISA and machine.
 * `test_golden --update` writes that file on scalar; LP_NUMERICS must change whenever a digest does. */
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape_group {
    const char *name;
    size_t count, shape[20];
    size_t class_step; /* every so many classes of rows */
} shape_group;
static const shape_group groups[] = {
    {"small", 16, {1, 2, 3, 7, 8, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 70}, 1},
    {"blocks", 5, {LP_BLOCK - 1, LP_BLOCK, LP_BLOCK + 1, 2 * LP_BLOCK + 1, 3 * LP_BLOCK + 28}, 1},
    {"vocab", 1, {32000}, 7},
};

/* Two rows of a class, drawn once for all functions and forms: drawing them anew costs an emulator half of its time. */
static float *two_rows(size_t values, size_t group, size_t shape)
{
    static float **drawn;
    drawn = drawn ? drawn : calloc(row_class_count * COUNT(groups) * COUNT(groups->shape), sizeof *drawn);
    float **x = &drawn[(values * COUNT(groups) + group) * COUNT(groups->shape) + shape];
    if (!*x) {
        /* A seed of its own, whatever LP_TEST_SEED: the grid is fixed. */
        const size_t n = groups[group].shape[shape];
        rng draw = rng_seeded(n * 1000 + values);
        *x = malloc(2 * n * sizeof **x);
        row_classes[values].fill(*x, n, &draw);
        row_classes[values].fill(*x + n, n, &draw);
    }
    return *x;
}

static uint64_t digest_row(uint64_t hash, const call *c, const form *f, const float *x, size_t n, results *r)
{
    matrix m = matrix_new(f, x, 2, n, (layout){.stride = n + n % 3, .side = AT_END}, n);
    results_clear(r);
    c->run(&m.in, n, r);
    hash = call_absent(r) ? 0 : results_hash(hash, r);
    matrix_free(&m);
    return hash;
}

/* 0: this build does not have the function. */
static uint64_t digest(const call *c, const form *f, size_t group, results *r)
{
    const shape_group *g = &groups[group];
    uint64_t hash = HASH_START;
    for (size_t i = 0; i < g->count; i++) {
        for (size_t k = 0; k < row_class_count && hash != 0; k += f == forms ? g->class_step : 5 * g->class_step) {
            hash = digest_row(hash, c, f, two_rows(k, group, i), g->shape[i], r);
        }
    }
    return hash;
}

/* Calls visit(key, digest) for one line of `step` of the file: "function form shapes". Returns how many it left out. */
static size_t for_each_digest(size_t step, void (*visit)(const char *key, uint64_t digest, void *to), void *to)
{
    results r;
    results_init(&r, PLACE_HEAP);
    size_t line = 0, left_out = 0;
    for (size_t c = 0; c < call_count; c++) {
        for (size_t f = 0; f < form_count; f++) {
            for (size_t g = 0; g < COUNT(groups); g++) {
                if (groups[g].shape[0] > calls[c].max_vocab) {
                    continue;
                }
                if (line++ % step != 0) {
                    left_out++;
                } else {
                    char key[120];
                    snprintf(key, sizeof key, "%s %s %s", calls[c].name, forms[f].name, groups[g].name);
                    visit(key, digest(&calls[c], &forms[f], g, &r), to);
                }
            }
        }
    }
    results_free(&r);
    return left_out;
}

static void write_digest(const char *key, uint64_t digest, void *to)
{
    if (digest != 0) {
        fprintf(to, "%s %016" PRIx64 "\n", key, digest);
    }
}

static int update(void)
{
    if (lp_isa_select(LP_ISA_SCALAR) != LP_OK) {
        return EXIT_FAILURE;
    }
    FILE *file = fopen(GOLDEN_FILE, "w");
    if (!file) {
        perror(GOLDEN_FILE);
        return EXIT_FAILURE;
    }
    fprintf(file, "# Written by test_golden --update. Function, form, shapes, FNV-1a of the result bytes.\n");
    fprintf(file, "LP_NUMERICS %d LP_BLOCK %d\n", LP_NUMERICS, LP_BLOCK);
    for_each_digest(1, write_digest, file);
    return fclose(file) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The file as one text, each line preceded by a newline. */
static char *read_golden(void)
{
    FILE *file = fopen(GOLDEN_FILE, "r");
    ck_assert_msg(file != NULL, "%s cannot be read", GOLDEN_FILE);
    const size_t most = 1 << 20;
    char *text = calloc(most + 2, 1);
    text[0] = '\n';
    ck_assert(fread(text + 1, 1, most, file) > 0);
    fclose(file);
    return text;
}

typedef struct comparison {
    const char *text;
    size_t lines, wrong;
} comparison;

static void compare_digest(const char *key, uint64_t digest, void *to)
{
    comparison *c = to;
    char line[160];
    snprintf(line, sizeof line, "\n%s ", key);
    const char *found = strstr(c->text, line);
    if (digest == 0 && !found) {
        return;
    }
    c->lines++;
    const uint64_t want = found ? strtoull(found + strlen(line), NULL, 16) : 0;
    if (digest != want) {
        printf("%s: digest %016" PRIx64 ", golden %016" PRIx64 "%s\n", key, digest, want,
               found ? "" : " (no such line)");
        c->wrong++;
    }
}

START_TEST(digests)
{
    char *text = read_golden();
    char head[80];
    snprintf(head, sizeof head, "\nLP_NUMERICS %d LP_BLOCK %d\n", LP_NUMERICS, LP_BLOCK);
    ck_assert_msg(strstr(text, head) != NULL, "the digests belong to another LP_NUMERICS or LP_BLOCK");
    comparison c = {.text = text};
    /* Emulators take a part; 5, or 11, and the lines of a function, 42 or 28, have no common divisor: each form and shape is met. */
    const size_t left_out = for_each_digest(test_smallest() ? 11 : test_step(5), compare_digest, &c);
    fflush(stdout);
    size_t lines = 0;
    for (const char *at = strchr(text + 1, '\n'); at; at = strchr(at + 1, '\n')) {
        lines++;
    }
    ck_assert_msg(c.wrong == 0, "%zu of %zu digests differ on %s", c.wrong, c.lines, lp_isa_name(lp_isa_active()));
    ck_assert_msg(lines == c.lines + left_out + 2, "%zu lines, %zu digests: stale lines, run --update", lines,
                  c.lines + left_out);
    free(text);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "golden");
    tcase_add_test(tcase, digests);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--update") == 0) {
        return update();
    }
    return suite_main("golden", add_cases);
}
