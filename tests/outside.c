/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A program that does what libraries fear: it may be compiled with -ffast-math (whose start code flushes subnormals), may load
 * the library with dlopen, has computed nothing in floating point when it calls, and calls from stacks of any alignment. It
 * prints one number made of all result bits, and fails where its control register comes back changed:
 *     outside [LIBRARY]
 * The recorded number is that of LP_NUMERICS, so that every way of building this program must print it. */
#include <inttypes.h>
#include <logprob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef LOADED
#include <dlfcn.h>
#endif
#ifdef __x86_64__
#include <xmmintrin.h>
#endif

enum { VOCAB = LP_BLOCK + 300, ROWS = 4, K = 8 };
#define RECORDED UINT64_C(0xf25f37a49da2197c)

typedef lp_status score_function(const lp_logits *, const int32_t *, size_t, const lp_scores *);
typedef lp_status dense_function(const lp_logits *, float *, size_t);

/* Only integers: no row may depend on how this file is compiled. */
static void draw(uint32_t *bits)
{
    uint64_t state = 20250301;
    for (size_t i = 0; i < ROWS * VOCAB; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        const uint32_t random = (uint32_t)(state >> 32), moderate = 0x3f000000 + (random & 0x81ffffff);
        switch (i / VOCAB) {
        case 0:
            bits[i] = moderate;
            break;
        case 1:
            bits[i] = random & 0x807fffff; /* subnormals */
            break;
        case 2:
            bits[i] = random % 4 ? 0xff800000 : moderate;
            break;
        default:
            bits[i] = random;
            break;
        }
    }
}

/* of n words, each from its lowest byte */
static uint64_t hash(uint64_t h, const void *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t word;
        memcpy(&word, (const unsigned char *)words + i * sizeof word, sizeof word);
        for (int j = 0; j < 4; j++) {
            h = (h ^ (word >> 8 * j & 0xff)) * 0x100000001b3U;
        }
    }
    return h;
}

typedef struct outputs {
    float logsumexp[ROWS], entropy[ROWS], log_norm[ROWS], token_logprob[ROWS], top_logprob[ROWS * K];
    int32_t rank[ROWS], top_token[ROWS * K];
    lp_status status[ROWS];
    float row[ROWS * VOCAB];
} outputs;

static uint64_t call(const uint32_t *bits, score_function *score, dense_function *log_softmax, outputs *o)
{
    static const int32_t token[ROWS] = {7, 8, 9, 10};
    const lp_logits in = {.data = bits, .rows = ROWS, .vocab = VOCAB};
    const lp_scores out = {.logsumexp = o->logsumexp,
                           .entropy = o->entropy,
                           .log_norm = o->log_norm,
                           .token_logprob = o->token_logprob,
                           .token_rank = o->rank,
                           .top_logprob = o->top_logprob,
                           .top_token = o->top_token,
                           .status = o->status};
    memset(o, 0, sizeof *o);
    score(&in, token, K, &out);
    log_softmax(&in, o->row, 0);
    return hash(0xcbf29ce484222325U, o, sizeof *o / 4);
}

/* The same from a stack that begins 16, 32 and 48 bytes further down. */
static uint64_t call_from(size_t down, const uint32_t *bits, score_function *score, dense_function *log_softmax,
                          outputs *o)
{
    volatile char room[16 * down + 1];
    room[0] = 1;
    const uint64_t digest = call(bits, score, log_softmax, o);
    return room[0] == 1 ? digest : 0;
}

static unsigned control(void)
{
#ifdef __x86_64__
    return _mm_getcsr();
#else
    return 0;
#endif
}

int main(int argc, char **argv)
{
    static uint32_t bits[ROWS * VOCAB];
    static outputs o;
#ifdef LOADED
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    score_function *score = NULL;
    dense_function *log_softmax = NULL;
    if (library != NULL) {
        *(void **)&score = dlsym(library, "lp_score");
        *(void **)&log_softmax = dlsym(library, "lp_log_softmax");
    }
    if (score == NULL || log_softmax == NULL) {
        fprintf(stderr, "cannot be loaded: %s\n", dlerror());
        return 2;
    }
#else
    (void)argc, (void)argv;
    score_function *score = lp_score;
    dense_function *log_softmax = lp_log_softmax;
#endif
    draw(bits);
    const unsigned before = control();
#if defined(__FAST_MATH__) && defined(__x86_64__)
    if ((before & 0x8000) == 0) {
        fprintf(stderr, "this program should flush subnormals\n");
        return 2;
    }
#endif
    for (size_t down = 0; down < 4; down++) {
        const uint64_t digest = call_from(down, bits, score, log_softmax, &o);
        printf("%016" PRIx64 "\n", digest);
        if (digest != RECORDED) {
            fprintf(stderr, "recorded for LP_NUMERICS %d: %016" PRIx64 "\n", LP_NUMERICS, RECORDED);
            return 1;
        }
    }
    if (control() != before) {
        fprintf(stderr, "the control register was %x, and is %x\n", before, control());
        return 1;
    }
    return EXIT_SUCCESS;
}
