/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The caller's surroundings change no bit and are left as found: rounding, flush-to-zero, traps, errno, signals, stacks. */
#define _GNU_SOURCE
#include "calls.h"
#include "forms.h"
#include "rows.h"

#include <errno.h>
#include <fenv.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

/* The control register with its sticky flags, and the bits in it that flush subnormals (0: this CPU's are not known). */
#if defined(__x86_64__)
#include <xmmintrin.h>
#define FLUSH_BITS 0x8040U
static uint64_t control(void)
{
    return _mm_getcsr();
}
static void set_control(uint64_t bits)
{
    _mm_setcsr((unsigned)bits);
}
#elif defined(__aarch64__)
#define FLUSH_BITS 0x1000000U
static uint64_t control(void)
{
    uint64_t control_bits, flags;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control_bits));
    __asm__ volatile("mrs %0, fpsr" : "=r"(flags));
    return control_bits | flags << 32;
}
static void set_control(uint64_t bits)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(bits & 0xffffffff));
    __asm__ volatile("msr fpsr, %0" : : "r"(bits >> 32));
}
#else
#define FLUSH_BITS 0U
static uint64_t control(void)
{
    return (uint64_t)fegetround() | (uint64_t)fetestexcept(FE_ALL_EXCEPT) << 32;
}
static void set_control(uint64_t bits)
{
    fesetround((int)(bits & 0xffffffff));
}
#endif

/* The rows that feel it: subnormals, sums, wide mixtures, errors. */
static const char *const class_names[] = {"normal", "subnormals", "peak_even", "wide_below", "any_bits", "ties_coarse"};
enum { CLASSES = 6, VOCAB = LP_BLOCK + 300, MAX_CALLS = 64 };
static matrix rows[CLASSES];
static results want[CLASSES][MAX_CALLS];

/* Once in a process: tests may share one. */
static void make_references(void)
{
    if (rows[0].in.data) {
        return;
    }
    for (size_t c = 0; c < CLASSES; c++) {
        float x[VOCAB];
        rng r = rng_for("env", c, 0);
        row_class_named(class_names[c])->fill(x, VOCAB, &r);
        rows[c] = matrix_new(&forms[0], x, 1, VOCAB, (layout){.side = AT_END}, c);
        for (size_t i = 0; i < call_count; i++) {
            results_init(&want[c][i], PLACE_HEAP);
            calls[i].run(&rows[c].in, c, &want[c][i]);
        }
    }
}

static void check_all_calls(const char *surroundings)
{
    results got;
    results_init(&got, PLACE_HEAP);
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t i = 0; i < call_count; i++) {
            results_clear(&got);
            const uint64_t before = control();
            errno = 12345;
            calls[i].run(&rows[c].in, c, &got);
            const bool kept = errno == 12345;
            const uint64_t after = control();
            fesetenv(FE_DFL_ENV);
            const place at = {calls[i].name, surroundings, VOCAB, c};
            expect_int(&at, 0, kept, true, "errno is left alone");
            expect_int(&at, 0, (int64_t)after, (int64_t)before, "control bits and flags are left as found");
            results_expect_equal(&got, &want[c][i], &at);
            set_control(before);
        }
    }
    results_free(&got);
    fesetenv(FE_DFL_ENV);
}

START_TEST(rounding_modes)
{
    const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    make_references();
    for (size_t i = 0; i < COUNT(modes); i++) {
        feclearexcept(FE_ALL_EXCEPT);
        ck_assert_int_eq(fesetround(modes[i]), 0);
        check_all_calls("another rounding mode");
    }
}
END_TEST

START_TEST(flushed_subnormals)
{
    make_references();
    feclearexcept(FE_ALL_EXCEPT);
    set_control(control() | FLUSH_BITS);
    check_all_calls("flush to zero");
    feclearexcept(FE_ALL_EXCEPT);
    fesetround(FE_UPWARD);
    set_control(control() | FLUSH_BITS);
    check_all_calls("flush to zero, rounding up");
}
END_TEST

#if defined(__GLIBC__) && defined(__x86_64__)
START_TEST(traps)
{
    make_references();
    feclearexcept(FE_ALL_EXCEPT);
    ck_assert_int_ne(feenableexcept(FE_ALL_EXCEPT), -1);
    check_all_calls("exceptions that trap");
}
END_TEST
#endif

START_TEST(flags_raised_before)
{
    make_references();
    feraiseexcept(FE_INEXACT | FE_OVERFLOW);
    check_all_calls("flags raised before");
}
END_TEST

/* Check's failure does not cross threads: the functions run there, the comparison is made here. */
#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { STACK_LIMIT = 128 * 1024 }; /* red zones */
#else
enum { STACK_LIMIT = 64 * 1024 };
#endif
enum { STACK = 1024 * 1024, PAINT = 0x5c };
static results on_small_stack[CLASSES][MAX_CALLS];

static void *run_calls(void *unused)
{
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t i = 0; i < call_count; i++) {
            calls[i].run(&rows[c].in, c, &on_small_stack[c][i]);
        }
    }
    return unused;
}

static void *run_nothing(void *unused)
{
    return unused;
}

/* How much of a painted stack a thread leaves marks on. */
static size_t stack_used(void *(*body)(void *))
{
    pthread_attr_t attributes;
    pthread_t thread;
    guarded stack = guard_new(STACK, AT_START, 0);
    memset(stack.data, PAINT, STACK);
    ck_assert_int_eq(pthread_attr_init(&attributes), 0);
    ck_assert_int_eq(pthread_attr_setstack(&attributes, stack.data, STACK), 0);
    ck_assert_int_eq(pthread_create(&thread, &attributes, body, NULL), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    size_t untouched = 0;
    while (untouched < STACK && stack.data[untouched] == PAINT) {
        untouched++;
    }
    guard_free(&stack);
    return STACK - untouched;
}

START_TEST(stack_of_a_small_thread)
{
    make_references();
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t i = 0; i < call_count; i++) {
            results_init(&on_small_stack[c][i], PLACE_HEAP);
        }
    }
    const size_t thread = stack_used(run_nothing), whole = stack_used(run_calls);
    printf("stack: %zu bytes, of which the thread itself %zu\n", whole, thread);
    fflush(stdout);
    ck_assert_uint_le(whole, STACK_LIMIT);
    for (size_t c = 0; c < CLASSES; c++) {
        for (size_t i = 0; i < call_count; i++) {
            const place at = {calls[i].name, "on a thread's stack", VOCAB, c};
            results_expect_equal(&on_small_stack[c][i], &want[c][i], &at);
        }
    }
}
END_TEST

/* A list too long to be selected among candidates is sorted where it lies, from within the scan. Logits of any magnitude take the
 * most calls for that. */
enum { LONG_ROW = 40 * LP_BLOCK, LONG_LIST = LONG_ROW / 5 * 3 };
static float long_logits[LONG_ROW], long_logprob[2][LONG_LIST];
static int32_t long_token[2][LONG_LIST];

static void *list_long(void *which)
{
    const size_t i = which == NULL ? 0 : 1;
    const lp_logits in = {.data = long_logits, .rows = 1, .vocab = LONG_ROW, .inv_temperature = 0.75f};
    float logsumexp, entropy;
    const lp_scores all = {
        .logsumexp = &logsumexp, .entropy = &entropy, .top_logprob = long_logprob[i], .top_token = long_token[i]};
    lp_score(&in, NULL, LONG_LIST, &all);
    lp_topk(&in, LONG_LIST, long_logprob[i], long_token[i]);
    return NULL;
}

START_TEST(stack_of_a_long_list)
{
    rng r = rng_for("long list", LONG_ROW, 0);
    for (size_t i = 0; i < LONG_ROW; i++) {
        long_logits[i] = ldexpf(rng_unit(&r) - 0.5f, (int)rng_below(&r, 200) - 100);
    }
    const size_t whole = stack_used(list_long);
    printf("stack: %zu bytes for a long list\n", whole);
    fflush(stdout);
    ck_assert_uint_le(whole, STACK_LIMIT);
    list_long(long_token);
    ck_assert_mem_eq(long_token[0], long_token[1], sizeof long_token[0]);
    ck_assert_mem_eq(long_logprob[0], long_logprob[1], sizeof long_logprob[0]);
}
END_TEST

enum { THREADS = 64 };
static lp_status thread_status[THREADS];
static float thread_sums[THREADS];

static void *score_in_thread(void *argument)
{
    const size_t me = (size_t)(uintptr_t)argument;
    for (int i = 0; i < 20; i++) {
        thread_status[me] = lp_entropy(&rows[0].in, &thread_sums[me]);
    }
    return NULL;
}

START_TEST(threads_at_once)
{
    pthread_t thread[THREADS];
    make_references();
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_create(&thread[i], NULL, score_in_thread, (void *)(uintptr_t)i), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
        ck_assert_int_eq(thread_status[i], LP_OK);
        ck_assert(same_bits(thread_sums[i], thread_sums[0]));
    }
}
END_TEST

/* A handler scores while the program scores: both get their bits. In the handler only the library is called; Check and
 * malloc are not safe there. */
enum { TOP = 8, TICKS = 50 };
typedef struct signalled {
    float logsumexp, entropy, token_logprob, top_logprob[TOP], log_softmax[VOCAB];
    int32_t rank, top_token[TOP];
    lp_status status[2];
} signalled;
static volatile sig_atomic_t handled;
static signalled before_signals, in_handler;

static void score_into(signalled *s)
{
    const int32_t token = 7;
    const lp_scores out = {.logsumexp = &s->logsumexp,
                           .entropy = &s->entropy,
                           .token_logprob = &s->token_logprob,
                           .token_rank = &s->rank,
                           .top_logprob = s->top_logprob,
                           .top_token = s->top_token};
    s->status[0] = lp_score(&rows[0].in, &token, TOP, &out);
    s->status[1] = lp_log_softmax(&rows[0].in, s->log_softmax, 0);
}

#if defined(__x86_64__)
__attribute__((force_align_arg_pointer)) /* qemu before 8.1 enters handlers with a misaligned stack */
#endif
static void
score_in_handler(int signal)
{
    (void)signal;
    score_into(&in_handler);
    handled++;
}

START_TEST(signal_handler)
{
    make_references();
    score_into(&before_signals);
    struct sigaction action = {.sa_handler = score_in_handler};
    ck_assert_int_eq(sigaction(SIGVTALRM, &action, NULL), 0);
    /* Not periodic: emulated, the handler takes longer than a period, and nothing else would run. */
    const struct itimerval tick = {{0, 0}, {0, 2000}}, stop = {{0, 0}, {0, 0}};
    sig_atomic_t asked = 0;
    for (int i = 0; i < 200 && handled < TICKS; i++) {
        for (size_t c = 0; c < call_count; c++) {
            if (asked == handled) {
                asked++;
                setitimer(ITIMER_VIRTUAL, &tick, NULL);
            }
            results got;
            results_init(&got, PLACE_HEAP);
            calls[c].run(&rows[1].in, 1, &got);
            const place at = {calls[c].name, "interrupted by signals", VOCAB, 1};
            results_expect_equal(&got, &want[1][c], &at);
            results_free(&got);
        }
    }
    setitimer(ITIMER_VIRTUAL, &stop, NULL);
    ck_assert_int_gt(handled, 0);
    ck_assert_msg(memcmp(&in_handler, &before_signals, sizeof in_handler) == 0, "a signal handler got other bits");
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "env");
    tcase_add_test(tcase, rounding_modes);
    tcase_add_test(tcase, flushed_subnormals);
#if defined(__GLIBC__) && defined(__x86_64__)
    tcase_add_test(tcase, traps);
#endif
    tcase_add_test(tcase, flags_raised_before);
    tcase_add_test(tcase, stack_of_a_small_thread);
    tcase_add_test(tcase, stack_of_a_long_list);
    tcase_add_test(tcase, threads_at_once);
    tcase_add_test(tcase, signal_handler);
}

int main(void)
{
    return suite_main("env", add_cases);
}
