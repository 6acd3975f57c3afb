/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every test shares: seeded random numbers, the entry point of a suite, ulps, and how a failure is
 * printed. */
#include "support.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77 };

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

rng rng_seeded(uint64_t seed)
{
    rng r;
    for (int i = 0; i < 4; i++) {
        r.s[i] = splitmix(&seed);
    }
    return r;
}

rng rng_for(const char *name, uint64_t a, uint64_t b)
{
    uint64_t hash = test_seed() ^ hash_bytes(HASH_START, name, strlen(name));
    hash = splitmix(&hash) ^ a;
    hash = splitmix(&hash) ^ b;
    return rng_seeded(hash);
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(rng *r)
{
    uint64_t *s = r->s;
    const uint64_t result = rotate(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint32_t rng_below(rng *r, uint32_t n)
{
    return (uint32_t)(((rng_next(r) >> 32) * n) >> 32);
}

float rng_unit(rng *r)
{
    return (float)(rng_next(r) >> 40) * 0x1p-24f;
}

float rng_bell(rng *r)
{
    int32_t sum = -6 * 65535;
    for (int i = 0; i < 3; i++) {
        const uint64_t bits = rng_next(r);
        sum += (int32_t)(bits & 0xffff) + (int32_t)((bits >> 16) & 0xffff) + (int32_t)((bits >> 32) & 0xffff) +
               (int32_t)(bits >> 48);
    }
    return (float)sum * 0x1p-16f;
}

uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count)
{
    const unsigned char *p = bytes;
    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ p[i]) * 0x100000001b3U;
    }
    return hash;
}

uint64_t hash_values(uint64_t hash, const void *values, size_t n, size_t size)
{
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    const unsigned char *p = values;
    for (size_t i = 0; i < n; i++) {
        for (size_t j = size; j-- > 0;) {
            hash = hash_bytes(hash, p + i * size + j, 1);
        }
    }
    return hash;
#else
    return hash_bytes(hash, values, n * size);
#endif
}

uint64_t test_seed(void)
{
    const char *text = getenv("LP_TEST_SEED");
    return text ? strtoull(text, NULL, 0) : 20250301;
}

bool test_smallest(void)
{
    const char *text = getenv("LP_TEST_QUICK");
    return text && strcmp(text, "2") == 0;
}

bool test_quick(void)
{
    const char *text = getenv("LP_TEST_QUICK");
    return getenv("LP_TEST_EMULATED") || (text && *text && strcmp(text, "0") != 0);
}

size_t test_step(size_t quick)
{
    return test_smallest() ? 3 * quick : test_quick() ? quick : 1;
}

size_t test_few(size_t n)
{
    return test_smallest() ? n / 8 : n;
}

/* Asks in a child, so that the parent's first use of the library stays inside the tests (dispatch depends on
 * it). */
static int probe_isa(const char *wanted)
{
    const char *fork_mode = getenv("CK_FORK");
    if (fork_mode && strcmp(fork_mode, "no") == 0) { /* an emulator, where a forked child was seen to hang */
        for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++) {
            if (strcmp(lp_isa_name(isa), wanted) == 0) {
                return lp_isa_supported(isa) ? EXIT_SUCCESS : EXIT_SKIPPED;
            }
        }
        return EXIT_FAILURE;
    }
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++) {
            if (strcmp(lp_isa_name(isa), wanted) == 0) {
                _exit(!lp_isa_supported(isa) ? EXIT_SKIPPED : lp_isa_active() != isa);
            }
        }
        _exit(EXIT_FAILURE);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return EXIT_FAILURE;
    }
    return WEXITSTATUS(status);
}

/* Whether a test is running that can fail. */
static bool running;

int suite_main(const char *name, void (*add_cases)(Suite *))
{
    const char *isa = getenv("LOGPROB_ISA");
    const int probe = isa ? probe_isa(isa) : EXIT_SUCCESS;
    if (probe == EXIT_SKIPPED) {
        printf("skipped: this build or CPU has no %s\n", isa);
        return EXIT_SKIPPED;
    }
    if (probe != EXIT_SUCCESS) {
        printf("failed: LOGPROB_ISA=%s is unknown or was not obeyed\n", isa);
        return EXIT_FAILURE;
    }
    printf("isa %s, LP_TEST_SEED=%" PRIu64 "%s\n", isa ? isa : "automatic", test_seed(), test_quick() ? ", quick" : "");
    Suite *suite = suite_create(name);
    add_cases(suite);
    SRunner *runner = srunner_create(suite);
    running = true;
    srunner_run_all(runner, CK_ENV);
    running = false;
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

TCase *add_case(Suite *suite, const char *name)
{
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, 500);
    suite_add_tcase(suite, tcase);
    return tcase;
}

uint32_t float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

float float_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double ulp_of(double x)
{
    int exponent;
    const double size = fabs(x);
    if (size < (double)FLT_MIN) {
        return 0x1p-149;
    }
    frexp(size > (double)FLT_MAX ? (double)FLT_MAX : size, &exponent);
    return ldexp(1.0, exponent - 24);
}

double ulp_of_larger(double a, double b)
{
    return ulp_of(fmax(fabs(a), fabs(b)));
}

bool same_bits(float a, float b)
{
    return float_bits(a) == float_bits(b);
}

void require(bool holds, const char *what)
{
    if (!holds && running) {
        ck_abort_msg("the test itself failed: %s", what);
    } else if (!holds) {
        fprintf(stderr, "failed: %s\n", what);
        exit(EXIT_FAILURE);
    }
}

_Noreturn void fail_at(const place *at, size_t index, double got, double want, const char *what)
{
    ck_abort_msg("%s, %s: isa %s, values %s, n %zu, offset %zu, index %zu: got %a (%.9g), want %a (%.9g)", at->function,
                 what, lp_isa_name(lp_isa_active()), at->values, at->n, at->offset, index, got, got, want, want);
    abort();
}

void expect_status(const place *at, lp_status got, lp_status want)
{
    if (got != want) {
        fail_at(at, 0, got, want, "status");
    }
}

void expect_bits(const place *at, size_t index, float got, float want, const char *what)
{
    if (!same_bits(got, want)) {
        fail_at(at, index, (double)got, (double)want, what);
    }
}

void expect_int(const place *at, size_t index, int64_t got, int64_t want, const char *what)
{
    if (got != want) {
        fail_at(at, index, (double)got, (double)want, what);
    }
}

void worst_note(worst *w, const place *at, size_t index, double error, double got, double want)
{
    if (error > w->error || w->at.function == NULL) {
        *w = (worst){error, got, want, *at, index};
    }
}

void worst_print(const worst *w, const char *what, const char *unit)
{
    if (w->at.function) {
        printf("worst %s %s: %.3g %s (values %s, n %zu, offset %zu, index %zu, got %a, exact %a)\n", w->at.function,
               what, w->error, unit, w->at.values, w->at.n, w->at.offset, w->index, w->got, w->want);
        fflush(stdout);
    }
}
