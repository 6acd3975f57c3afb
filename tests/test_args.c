/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Argument errors: each is LP_ERR_ARG before anything is written; what may be NULL, empty, or the same memory. */
#include "calls.h"

#include <math.h>
#include <string.h>

enum { ROWS = 2, VOCAB = 40 };
static const float nan_first[ROWS * VOCAB] = {NAN}; /* a bad row too: call errors come first */

static lp_logits good_logits(void)
{
    return (lp_logits){.data = nan_first, .rows = ROWS, .vocab = VOCAB};
}

/* What is wrong, in one place each, with a matrix that is otherwise good. */
static void no_data(lp_logits *in)
{
    in->data = NULL;
}
static void stride_below_vocab(lp_logits *in)
{
    in->stride = VOCAB - 1;
}
static void vocab_beyond_ids(lp_logits *in)
{
    in->vocab = (size_t)INT32_MAX + 1;
}
static void bytes_overflow(lp_logits *in)
{
    in->rows = SIZE_MAX / 4;
}
static void stride_overflows(lp_logits *in)
{
    in->stride = SIZE_MAX / 2;
}
static void dtype_unknown(lp_logits *in)
{
    in->dtype = 3;
}
static void dtype_negative(lp_logits *in)
{
    in->dtype = -1;
}
static void flags_set(lp_logits *in)
{
    in->flags = 1;
}
static void reserved_first(lp_logits *in)
{
    in->reserved[0] = in;
}
static void reserved_last(lp_logits *in)
{
    in->reserved[2] = in;
}
static void temperature_nan(lp_logits *in)
{
    in->inv_temperature = NAN;
}
static void temperature_inf(lp_logits *in)
{
    in->inv_temperature = INFINITY;
}
static void temperature_negative(lp_logits *in)
{
    in->inv_temperature = -1;
}
static void softcap_nan(lp_logits *in)
{
    in->softcap = NAN;
}
static void softcap_inf(lp_logits *in)
{
    in->softcap = INFINITY;
}
static void softcap_negative(lp_logits *in)
{
    in->softcap = -30;
}

static const struct fault {
    const char *name;
    void (*make)(lp_logits *in);
    bool large; /* outputs of that size cannot be provided */
} faults[] = {
    {"no data", no_data, false},
    {"stride < vocab", stride_below_vocab, false},
    {"vocab > INT32_MAX", vocab_beyond_ids, true},
    {"rows * stride overflows", bytes_overflow, true},
    {"stride overflows", stride_overflows, false},
    {"dtype 3", dtype_unknown, false},
    {"dtype -1", dtype_negative, false},
    {"flags", flags_set, false},
    {"reserved[0]", reserved_first, false},
    {"reserved[2]", reserved_last, false},
    {"inv_temperature NaN", temperature_nan, false},
    {"inv_temperature inf", temperature_inf, false},
    {"inv_temperature -1", temperature_negative, false},
    {"softcap NaN", softcap_nan, false},
    {"softcap inf", softcap_inf, false},
    {"softcap -30", softcap_negative, false},
};

START_TEST(faulty_logits)
{
    const struct fault *fault = &faults[_i];
    results r;
    results_init(&r, PLACE_HEAP);
    for (size_t c = 0; c < call_count && !fault->large; c++) {
        if (!calls[c].derived) {
            lp_logits in = good_logits();
            fault->make(&in);
            results_clear(&r);
            calls[c].run(&in, 1, &r);
            const place at = {calls[c].name, fault->name, VOCAB, 0};
            expect_status(&at, *(const int32_t *)r.region[0].data, LP_ERR_ARG);
            expect_int(&at, 0, results_untouched(&r), true, "nothing written");
        }
    }
    results_free(&r);
}
END_TEST

/* Sizes whose outputs nobody can provide must be refused before the first byte is touched. */
START_TEST(faulty_sizes)
{
    for (size_t i = 0; i < COUNT(faults); i++) {
        if (faults[i].large) {
            lp_logits in = good_logits();
            faults[i].make(&in);
            const place at = {"every function", faults[i].name, VOCAB, 0};
            float out = 7, top = 7;
            int32_t token = 0, id = 7;
            const size_t offset[] = {0, 1};
            lp_sequence sequence;
            const lp_scores scores = {.entropy = &out, .top_logprob = &top, .top_token = &id};
            expect_status(&at, lp_logsumexp(&in, &out), LP_ERR_ARG);
            expect_status(&at, lp_log_softmax(&in, &out, 0), LP_ERR_ARG);
            expect_status(&at, lp_entropy(&in, &out), LP_ERR_ARG);
            expect_status(&at, lp_topk(&in, 1, &out, &id), LP_ERR_ARG);
            expect_status(&at, lp_gather(&in, &token, 1, &out), LP_ERR_ARG);
            expect_status(&at, lp_score(&in, &token, 1, &scores), LP_ERR_ARG);
            expect_status(&at, lp_sequence_score(&in, &token, NULL, offset, 1, &sequence, &out), LP_ERR_ARG);
            ck_assert(out == 7 && top == 7 && id == 7);
        }
    }
}
END_TEST

START_TEST(pointers)
{
    const lp_logits in = good_logits();
    float out[ROWS * VOCAB];
    int32_t id[ROWS * VOCAB] = {0};
    const lp_scores none = {0};
    ck_assert_int_eq(lp_logsumexp(NULL, out), LP_ERR_ARG);
    ck_assert_int_eq(lp_logsumexp(&in, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_log_softmax(NULL, out, 0), LP_ERR_ARG);
    ck_assert_int_eq(lp_log_softmax(&in, NULL, 0), LP_ERR_ARG);
    ck_assert_int_eq(lp_entropy(NULL, out), LP_ERR_ARG);
    ck_assert_int_eq(lp_entropy(&in, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_topk(NULL, 1, out, id), LP_ERR_ARG);
    ck_assert_int_eq(lp_topk(&in, 1, NULL, id), LP_ERR_ARG);
    ck_assert_int_eq(lp_topk(&in, 1, out, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_gather(NULL, id, 1, out), LP_ERR_ARG);
    ck_assert_int_eq(lp_gather(&in, NULL, 1, out), LP_ERR_ARG);
    ck_assert_int_eq(lp_gather(&in, id, 1, NULL), LP_ERR_ARG);
    ck_assert_int_eq(lp_score(NULL, NULL, 0, &none), LP_ERR_ARG);
    ck_assert_int_eq(lp_score(&in, NULL, 0, NULL), LP_ERR_ARG);
}
END_TEST

START_TEST(strides_of_outputs)
{
    const lp_logits in = good_logits();
    float out[ROWS * VOCAB];
    int32_t id[ROWS * VOCAB];
    memset(out, RESULTS_FILL, sizeof out);
    const float untouched = out[0];
    const lp_scores short_stride = {.top_logprob = out, .top_token = id, .top_stride = 4};
    const size_t huge = SIZE_MAX / 2;
    ck_assert_int_eq(lp_log_softmax(&in, out, VOCAB - 1), LP_ERR_ARG);
    ck_assert_int_eq(lp_log_softmax(&in, out, huge), LP_ERR_ARG);
    ck_assert_int_eq(lp_score(&in, NULL, 5, &short_stride), LP_ERR_ARG);
    ck_assert_int_eq(lp_topk(&in, huge, out, id), LP_ERR_ARG);
    ck_assert_int_eq(lp_gather(&in, id, huge, out), LP_ERR_ARG);
    ck_assert(same_bits(out[0], untouched));
    ck_assert_int_eq(lp_score(&in, NULL, 4, &short_stride), LP_ERR_NAN);
}
END_TEST

START_TEST(faulty_scores)
{
    const lp_logits in = good_logits();
    float out[ROWS * VOCAB] = {7};
    int32_t id[ROWS * VOCAB] = {7};
    lp_scores reserved = {.logsumexp = out};
    for (size_t i = 0; i < COUNT(reserved.reserved); i++) {
        reserved.reserved[i] = out;
        ck_assert_int_eq(lp_score(&in, NULL, 0, &reserved), LP_ERR_ARG);
        reserved.reserved[i] = NULL;
    }
    const lp_scores wrong[] = {
        {.logsumexp = out, .top_logprob = out + 2},   /* both or neither */
        {.logsumexp = out, .top_token = id},          /* both or neither */
        {.logsumexp = out, .token_logprob = out + 2}, /* of which token? */
        {.logsumexp = out, .token_rank = id},         /* of which token? */
        {.logsumexp = out, .token_rank_ties = id},    /* of which token? */
    };
    for (size_t i = 0; i < COUNT(wrong); i++) {
        ck_assert_msg(lp_score(&in, NULL, 3, &wrong[i]) == LP_ERR_ARG, "wrong[%zu]", i);
    }
    const lp_scores many = {.logsumexp = out, .token_logprob = out + 2, .tokens_per_row = SIZE_MAX / 2};
    ck_assert_int_eq(lp_score(&in, id, 0, &many), LP_ERR_ARG);
    ck_assert(out[0] == 7 && id[0] == 7);
}
END_TEST

/* Outputs that are not wanted are not computed: each alone is what it is among all. */
START_TEST(null_outputs)
{
    float x[ROWS * VOCAB];
    for (size_t i = 0; i < COUNT(x); i++) {
        x[i] = (float)((i * 7) % 13);
    }
    const lp_logits in = {.data = x, .rows = ROWS, .vocab = VOCAB};
    const int32_t token[ROWS] = {3, 4};
    float all_values[5][ROWS], alone;
    int32_t all_ints[3][ROWS], alone_int;
    (void)alone;
    (void)alone_int;
    const lp_scores all = {.logsumexp = all_values[0],
                           .entropy = all_values[1],
                           .max_logit = all_values[2],
                           .log_norm = all_values[3],
                           .token_logprob = all_values[4],
                           .token_rank = all_ints[0],
                           .token_rank_ties = all_ints[1],
                           .status = all_ints[2]};
    ck_assert_int_eq(lp_score(&in, token, 0, &all), LP_OK);
    for (size_t i = 0; i < 8; i++) {
        float value[ROWS] = {-7, -7};
        int32_t number[ROWS] = {-7, -7};
        lp_scores one = {0};
        float **const values[] = {&one.logsumexp, &one.entropy, &one.max_logit, &one.log_norm, &one.token_logprob};
        int32_t **const numbers[] = {&one.token_rank, &one.token_rank_ties, &one.status};
        if (i < 5) {
            *values[i] = value;
        } else {
            *numbers[i - 5] = number;
        }
        ck_assert_int_eq(lp_score(&in, token, 0, &one), LP_OK);
        for (size_t row = 0; row < ROWS; row++) {
            ck_assert(i < 5 ? same_bits(value[row], all_values[i][row]) : number[row] == all_ints[i - 5][row]);
        }
    }
    ck_assert_int_eq(lp_score(&in, NULL, 5, &(lp_scores){0}), LP_OK);
    ck_assert_int_eq(lp_score(&in, token, 0, &(lp_scores){0}), LP_OK);
}
END_TEST

/* rows == 0 touches nothing; k == 0 and n == 0 want nothing; vocab == 0 is a row without mass. */
START_TEST(empty_shapes)
{
    const lp_logits no_rows = {.rows = 0, .vocab = VOCAB};
    ck_assert_int_eq(lp_logsumexp(&no_rows, NULL), LP_OK);
    ck_assert_int_eq(lp_log_softmax(&no_rows, NULL, 0), LP_OK);
    ck_assert_int_eq(lp_entropy(&no_rows, NULL), LP_OK);
    ck_assert_int_eq(lp_topk(&no_rows, 5, NULL, NULL), LP_OK);
    ck_assert_int_eq(lp_gather(&no_rows, NULL, 5, NULL), LP_OK);
    ck_assert_int_eq(lp_score(&no_rows, NULL, 5, &(lp_scores){0}), LP_OK);

    const float x[] = {1, 2, 3};
    const lp_logits row = {.data = x, .rows = 1, .vocab = 3};
    ck_assert_int_eq(lp_topk(&row, 0, NULL, NULL), LP_OK);
    ck_assert_int_eq(lp_gather(&row, NULL, 0, NULL), LP_OK);

    const lp_logits no_vocab = {.rows = 2};
    float out[6] = {0};
    int32_t id[6] = {0};
    const place at = {"every function", "vocab 0", 0, 0};
    expect_status(&at, lp_logsumexp(&no_vocab, out), LP_ERR_EMPTY);
    expect_status(&at, lp_entropy(&no_vocab, out + 2), LP_ERR_EMPTY);
    expect_status(&at, lp_log_softmax(&no_vocab, out, 0), LP_ERR_EMPTY);
    for (size_t i = 0; i < 4; i++) {
        expect_int(&at, i, float_bits(out[i]), NAN_BITS, "NaN");
    }
    expect_status(&at, lp_topk(&no_vocab, 3, out, id), LP_ERR_EMPTY);
    for (size_t i = 0; i < 6; i++) {
        expect_int(&at, i, float_bits(out[i]), NAN_BITS, "logprob");
        expect_int(&at, i, id[i], -1, "token");
    }
}
END_TEST

/* lp_log_softmax may write over its input. */
START_TEST(in_place)
{
    enum { N = LP_BLOCK + 77, STRIDE = N + 3 };
    static float x[ROWS * STRIDE], want[ROWS * STRIDE];
    rng r = rng_for("in_place", 0, 0);
    for (size_t i = 0; i < COUNT(x); i++) {
        want[i] = x[i] = rng_bell(&r) * 4;
    }
    x[STRIDE + 5] = -INFINITY;
    const lp_logits in = {.data = x, .rows = ROWS, .vocab = N, .stride = STRIDE};
    ck_assert_int_eq(lp_log_softmax(&in, want, STRIDE), LP_OK);
    ck_assert_int_eq(lp_log_softmax(&in, x, STRIDE), LP_OK);
    ck_assert_int_eq(memcmp(x, want, sizeof x), 0);
}
END_TEST

static void add_cases(Suite *suite)
{
    TCase *tcase = add_case(suite, "args");
    tcase_add_loop_test(tcase, faulty_logits, 0, (int)COUNT(faults));
    tcase_add_test(tcase, faulty_sizes);
    tcase_add_test(tcase, pointers);
    tcase_add_test(tcase, strides_of_outputs);
    tcase_add_test(tcase, faulty_scores);
    tcase_add_test(tcase, null_outputs);
    tcase_add_test(tcase, empty_shapes);
    tcase_add_test(tcase, in_place);
}

int main(void)
{
    return suite_main("args", add_cases);
}
