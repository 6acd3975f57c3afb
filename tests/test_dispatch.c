/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Which kernels run: LOGPROB_ISA, lp_isa_select, threads racing to first use; and the names that the library prints. */
#define _DEFAULT_SOURCE
#include "support.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* First use can happen once in a process: each scenario runs in a child that has not touched the library. */
static int in_child(int (*scenario)(const char *), const char *isa)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        if (isa ? setenv("LOGPROB_ISA", isa, 1) : unsetenv("LOGPROB_ISA")) {
            _exit(99);
        }
        _exit(scenario(isa));
    }
    int status = 0;
    ck_assert(child > 0 && waitpid(child, &status, 0) == child);
    ck_assert_msg(WIFEXITED(status), "the child ended with status %#x", (unsigned)status);
    return WEXITSTATUS(status);
}

static int active(const char *isa)
{
    (void)isa;
    errno = 0;
    const lp_isa first = lp_isa_active();
    return errno == 0 ? first : 98;
}

static int supported(const char *isa)
{
    return lp_isa_supported((lp_isa)(isa[0] - '0'));
}

static const char *const isa_names[] = {"scalar", "avx2", "avx512", "neon"};

START_TEST(every_name)
{
    const int automatic = in_child(active, NULL);
    for (int isa = 0; isa < (int)COUNT(isa_names); isa++) {
        const char digit[2] = {(char)('0' + isa), 0};
        const int want = in_child(supported, digit) ? isa : automatic;
        ck_assert_msg(in_child(active, isa_names[isa]) == want, "LOGPROB_ISA=%s", isa_names[isa]);
    }
}
END_TEST

START_TEST(unknown_names)
{
    static const char *const unknown[] = {"",     " ",       "nonsense",    "avx", "avx2 ",
                                          "AVX2", "avx5120", "scalar,avx2", "0",   "-1"};
    const int automatic = in_child(active, NULL);
    for (size_t i = 0; i < COUNT(unknown); i++) {
        ck_assert_msg(in_child(active, unknown[i]) == automatic, "LOGPROB_ISA='%s'", unknown[i]);
    }
}
END_TEST

static int best_is_automatic(const char *isa)
{
    static const lp_isa order[] = {LP_ISA_AVX512, LP_ISA_AVX2, LP_ISA_NEON, LP_ISA_SCALAR};
    (void)isa;
    for (size_t i = 0; i < COUNT(order); i++) {
        if (lp_isa_supported(order[i])) {
            return lp_isa_active() != order[i];
        }
    }
    return 1;
}

START_TEST(automatic_choice)
{
    ck_assert_int_eq(in_child(best_is_automatic, NULL), 0);
}
END_TEST

static int read_once(const char *isa)
{
    (void)isa;
    const lp_isa first = lp_isa_active();
    if (setenv("LOGPROB_ISA", "scalar", 1)) {
        return 99;
    }
    return lp_isa_active() != first;
}

START_TEST(environment_is_read_once)
{
    ck_assert_int_eq(in_child(read_once, NULL), 0);
}
END_TEST

static int select_first(const char *isa)
{
    (void)isa;
    return lp_isa_select(LP_ISA_SCALAR) != LP_OK || lp_isa_active() != LP_ISA_SCALAR;
}

START_TEST(selection_before_first_use)
{
    ck_assert_int_eq(in_child(select_first, NULL), 0);
    ck_assert_int_eq(in_child(select_first, "avx2"), 0);
}
END_TEST

START_TEST(selection)
{
    const lp_isa before = lp_isa_active();
    const lp_isa impossible[] = {-1, 4, 100, INT32_MAX, INT32_MIN};
    ck_assert(lp_isa_supported(LP_ISA_SCALAR));
    for (size_t i = 0; i < COUNT(impossible); i++) {
        ck_assert_int_eq(lp_isa_supported(impossible[i]), 0);
        ck_assert_int_eq(lp_isa_select(impossible[i]), LP_ERR_ISA);
        ck_assert_int_eq(lp_isa_active(), before);
    }
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++) {
        const lp_isa was = lp_isa_active();
        const bool can = lp_isa_supported(isa);
        ck_assert_int_eq(lp_isa_select(isa), can ? LP_OK : LP_ERR_ISA);
        ck_assert_int_eq(lp_isa_active(), can ? isa : was);
    }
}
END_TEST

START_TEST(names)
{
    for (size_t i = 0; i < COUNT(isa_names); i++) {
        ck_assert_str_eq(lp_isa_name((lp_isa)i), isa_names[i]);
    }
    ck_assert_ptr_nonnull(lp_isa_name(-1));
    ck_assert_ptr_nonnull(lp_isa_name(4));
    for (lp_status a = LP_OK; a <= LP_ERR_STATE; a++) {
        ck_assert(strlen(lp_status_string(a)) > 0);
        for (lp_status b = LP_OK; b < a; b++) {
            ck_assert_str_ne(lp_status_string(a), lp_status_string(b));
        }
    }
    ck_assert_ptr_nonnull(lp_status_string(-1));
    ck_assert_ptr_nonnull(lp_status_string(INT32_MAX));
    char version[40];
    snprintf(version, sizeof version, "%d.%d.%d", LP_VERSION_MAJOR, LP_VERSION_MINOR, LP_VERSION_PATCH);
    ck_assert_str_eq(lp_version(), version);
}
END_TEST

enum { THREADS = 8, VOCAB = 3 * LP_BLOCK + 5 };
static float logits[VOCAB];
static pthread_barrier_t start;

typedef struct racer {
    pthread_t thread;
    lp_isa isa, select;
    float first;
    bool same;
} racer;

static float one_logsumexp(void)
{
    const lp_logits in = {.data = logits, .rows = 1, .vocab = VOCAB};
    float out = 0;
    lp_logsumexp(&in, &out);
    return out;
}

static void *race(void *argument)
{
    racer *me = argument;
    pthread_barrier_wait(&start);
    me->first = one_logsumexp();
    me->isa = lp_isa_active();
    return NULL;
}

static void *race_and_select(void *argument)
{
    racer *me = argument;
    pthread_barrier_wait(&start);
    me->same = true;
    for (int i = 0; i < 50; i++) {
        lp_isa_select((me->select + i) % 4);
        me->same = me->same && same_bits(one_logsumexp(), me->first);
    }
    return NULL;
}

static bool run_racers(racer *racers, void *(*body)(void *))
{
    bool started = pthread_barrier_init(&start, NULL, THREADS) == 0;
    for (int i = 0; i < THREADS; i++) {
        started = pthread_create(&racers[i].thread, NULL, body, &racers[i]) == 0 && started;
    }
    for (int i = 0; i < THREADS; i++) {
        started = pthread_join(racers[i].thread, NULL) == 0 && started;
    }
    pthread_barrier_destroy(&start);
    return started;
}

static void fill_logits(void)
{
    rng r = rng_for("dispatch", 0, 0);
    for (size_t i = 0; i < VOCAB; i++) {
        logits[i] = rng_bell(&r) * 3;
    }
}

static int first_use_race(const char *isa)
{
    racer racers[THREADS] = {0};
    (void)isa;
    if (!run_racers(racers, race)) {
        return 97;
    }
    for (int i = 1; i < THREADS; i++) {
        if (racers[i].isa != racers[0].isa || !same_bits(racers[i].first, racers[0].first)) {
            return 1;
        }
    }
    return racers[0].isa != lp_isa_active();
}

START_TEST(threads_race_to_first_use)
{
    fill_logits();
    for (int i = 0; i < (test_quick() ? 4 : 40); i++) {
        ck_assert_int_eq(in_child(first_use_race, i % 2 ? getenv("LOGPROB_ISA") : NULL), 0);
    }
}
END_TEST

/* Selecting while others compute changes no bits. */
START_TEST(threads_select)
{
    racer racers[THREADS] = {0};
    fill_logits();
    const float want = one_logsumexp();
    for (int i = 0; i < THREADS; i++) {
        racers[i].first = want;
        racers[i].select = i % 4;
    }
    ck_assert(run_racers(racers, race_and_select));
    for (int i = 0; i < THREADS; i++) {
        ck_assert(racers[i].same);
    }
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "dispatch");
    tcase_add_test(tcase, every_name);
    tcase_add_test(tcase, unknown_names);
    tcase_add_test(tcase, automatic_choice);
    tcase_add_test(tcase, environment_is_read_once);
    tcase_add_test(tcase, selection_before_first_use);
    tcase_add_test(tcase, threads_race_to_first_use);
    tcase_add_test(tcase, names);
    tcase_add_test(tcase, selection);
    tcase_add_test(tcase, threads_select);
}

int main(void)
{
    return suite_main("dispatch", add_cases);
}
