/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What the bindings have to reproduce: golden.txt, digests of results on rows that any language can make. */
#include <inttypes.h>
#include <logprob.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 3, VOCAB = 5000, K = 50 };
static float logits[ROWS][VOCAB];
static const int32_t token[ROWS] = {17, 4999, 0};

static void print_digest(const char *name, const void *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a */
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3U;
    }
    printf("%s %016" PRIx64 "\n", name, hash);
}

/* Multiples of 2^-19 between -16 and 16, exact in a float. */
static void fill(void)
{
    uint64_t state = 1;
    for (size_t i = 0; i < ROWS * VOCAB; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        logits[i / VOCAB][i % VOCAB] = (float)((int32_t)(state >> 40) - (1 << 23)) / 524288.0f;
    }
}

static int rows(const lp_logits *in)
{
    static float number[ROWS], row[ROWS][VOCAB], logprob[ROWS][K];
    static int32_t id[ROWS][K], rank[ROWS];
    int bad = lp_logsumexp(in, number) != LP_OK;
    print_digest("logsumexp", number, sizeof number);
    bad |= lp_entropy(in, number) != LP_OK;
    print_digest("entropy", number, sizeof number);
    bad |= lp_log_softmax(in, row[0], 0) != LP_OK;
    print_digest("log_softmax", row, sizeof row);
    bad |= lp_topk(in, K, logprob[0], id[0]) != LP_OK;
    print_digest("topk_logprob", logprob, sizeof logprob);
    print_digest("topk_token", id, sizeof id);
    bad |= lp_gather(in, token, 1, number) != LP_OK;
    print_digest("gather", number, sizeof number);
    bad |= lp_score(in, token, 0, &(lp_scores){.token_rank = rank}) != LP_OK;
    print_digest("token_rank", rank, sizeof rank);
    return bad;
}

static int others(const lp_logits *in)
{
    const lp_logits p = {.data = logits[0], .rows = 1, .vocab = VOCAB},
                    q = {.data = logits[1], .rows = 1, .vocab = VOCAB};
    double kl[2];
    int bad = lp_compare(&p, &q, NULL, &(lp_divergence){.kl = kl, .reverse_kl = kl + 1}) != LP_OK;
    print_digest("compare", kl, sizeof kl);
    lp_sequence sequence;
    bad |= lp_sequence_score(in, token, NULL, (const size_t[]){0, ROWS}, 1, &sequence, NULL) != LP_OK;
    print_digest("sequence_score", &sequence.logprob, sizeof sequence.logprob);
    float top[K], part[K];
    int32_t id[K];
    lp_mass mass;
    bad |= lp_topk(&p, K, top, id) != LP_OK || lp_renormalize(top, K, part, &mass) != LP_OK;
    print_digest("renormalize", part, sizeof part);
    print_digest("tail", &mass.tail, sizeof mass.tail);
    return bad;
}

static int results(void)
{
    fill();
    /* bfloat16 is the upper half of a float */
    static uint16_t half[ROWS][VOCAB];
    for (size_t i = 0; i < ROWS * VOCAB; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i / VOCAB][i % VOCAB], sizeof bits);
        half[i / VOCAB][i % VOCAB] = (uint16_t)(bits >> 16);
    }
    const lp_logits in = {.data = logits, .rows = ROWS, .vocab = VOCAB};
    const lp_logits form = {
        .data = half, .rows = ROWS, .vocab = VOCAB, .dtype = LP_BF16, .softcap = 30, .inv_temperature = 0.5f};
    float number[ROWS];
    int bad = rows(&in) | others(&in) | (lp_logsumexp(&form, number) != LP_OK);
    print_digest("bf16", number, sizeof number);
    return bad;
}

int main(void)
{
    return results();
}
