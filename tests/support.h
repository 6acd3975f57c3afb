/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What every test shares: seeded random numbers, the entry point of a suite, ulps, and how a failure is
 * printed. */
#ifndef TESTS_SUPPORT_H
#define TESTS_SUPPORT_H
#include <check.h>
#include <float.h>
#include <logprob.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- random numbers: xoshiro256**, integers only, so that every machine draws the same
 * -------------------------- */
typedef struct rng {
    uint64_t s[4];
} rng;
rng rng_seeded(uint64_t seed);
/* A stream of its own for each use: the run's seed, a name, and two numbers. */
rng rng_for(const char *name, uint64_t a, uint64_t b);
uint64_t rng_next(rng *r);
uint32_t rng_below(rng *r, uint32_t n); /* n > 0 */
float rng_unit(rng *r);                 /* [0, 1), 24 bits */
float rng_bell(rng *r);                 /* mean 0, variance 1, within +-6; exact multiples of 2^-16 */
uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count); /* FNV-1a, 64 bits */
/* of n values of 1 to 8 bytes, whatever the order of their bytes here */
uint64_t hash_values(uint64_t hash, const void *values, size_t n, size_t size);
#define HASH_START 0xcbf29ce484222325U

uint64_t test_seed(void); /* LP_TEST_SEED, or a fixed one */
/* LP_TEST_QUICK: smaller grids, and always where LP_TEST_EMULATED says that an emulator runs; 2: the smallest, where the
 * same code walks the others elsewhere */
bool test_quick(void);
bool test_smallest(void);
size_t test_step(size_t quick); /* through a grid: 1, or that of a quick run, or three times as much of a smallest */
size_t test_few(size_t n);      /* of so many random cases of a quick run, those of a smallest one */

/* ---- suites ------------------------------------------------------------------------------------------------------ */

/* Runs the suite under the ISA of LOGPROB_ISA: 77 (skipped) where this CPU lacks it, a failure where it was not obeyed. The
 * library is first touched inside a test, never here. */
int suite_main(const char *name, void (*add_cases)(Suite *));
TCase *add_case(Suite *suite, const char *name); /* with a time limit that emulators can keep */

/* ---- floats ------------------------------------------------------------------------------------------------------ */
/* What a reference computed in long double may be off by itself, relative: on 32-bit ARM that is double, and it sums thousands. */
#define REFERENCE_ERROR (LDBL_MANT_DIG > DBL_MANT_DIG ? 0 : 0x1p-40)
#define NAN_BITS 0x7fc00000U /* the one NaN that results hold */
uint32_t float_bits(float x);
float float_from_bits(uint32_t bits);
double ulp_of(double x); /* distance of floats at |x| */
double ulp_of_larger(double a, double b);
bool same_bits(float a, float b);

/* ---- failures ---------------------------------------------------------------------------------------------------- */
typedef struct place {
    const char *function, *values; /* the function under test, the class of its input */
    size_t n, offset;              /* vocabulary, and where the row starts (elements) */
} place;
/* For the test's own machinery: ends the test, or the program where none runs. Unlike ck_assert, free where it holds. */
void require(bool holds, const char *what);
/* For what is asserted a hundred thousand times: ck_assert writes to a file also where it holds. */
#define EXPECT(condition)                                                                                              \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            ck_abort_msg("%s", #condition);                                                                            \
        }                                                                                                              \
    } while (0)
/* Prints function, ISA, values, n, offset, index and both values in %a, and ends the test. */
_Noreturn void fail_at(const place *at, size_t index, double got, double want, const char *what);
void expect_status(const place *at, lp_status got, lp_status want);
void expect_bits(const place *at, size_t index, float got, float want, const char *what);
void expect_int(const place *at, size_t index, int64_t got, int64_t want, const char *what);

/* The largest error seen, and where, printed at the end of a test. */
typedef struct worst {
    double error, got, want;
    place at;
    size_t index;
} worst;
void worst_note(worst *w, const place *at, size_t index, double error, double got, double want);
void worst_print(const worst *w, const char *what, const char *unit);
#endif
