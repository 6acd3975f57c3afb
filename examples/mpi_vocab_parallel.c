/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Tensor parallel: each rank has the logits of a part of the vocabulary, laid out as vLLM pads them, and one MPI_Allreduce
 * over stream states gives every rank what lp_score gives for whole rows. No logits are gathered.
 *
 *     mpirun -n 8 mpi_vocab_parallel
 *
 * A rank's row is [original ids | padding | added ids | padding]: added ids (LoRA tokens) follow the original ones, and both
 * kinds are split evenly after padding. Two streams a row, one for each kind, are merged before anything is sent. */
#include "example.h"
#include <mpi.h>

enum { ROWS = 5, ORIGINAL = 32003, ADDED = 70, VOCAB = ORIGINAL + ADDED, PADDING = 64 };

/* What is sent of a state. The op is not commutative, so MPI merges neighbours only: one range of original ids and one of
 * added ids, which have two fragments each at most, that is half of what a state can hold. */
enum { FRAGMENTS = 4 };
#define STATE LP_STREAM_SIZE(TOP)
#define MESSAGE (STATE - (LP_STREAM_FRAGMENTS - FRAGMENTS) * LP_BLOCK * sizeof(float))

static void require(lp_status status)
{
    if (status != LP_OK) {
        fprintf(stderr, "%s\n", lp_status_string(status));
        MPI_Abort(MPI_COMM_WORLD, EXIT_FAILURE);
    }
}

/* MPI_Op: b = a merged with b. A state needs its whole size to be merged into, so that is done on the side. */
static void merge_states(void *a, void *b, int *count, MPI_Datatype *type)
{
    static unsigned char into[STATE], from[STATE];
    (void)type;
    for (size_t i = 0; i < (size_t)*count; i++) {
        unsigned char *const at = (unsigned char *)b + i * MESSAGE;
        memcpy(into, (const unsigned char *)a + i * MESSAGE, MESSAGE);
        memcpy(from, at, MESSAGE);
        require(lp_stream_merge((lp_stream *)(void *)into, (const lp_stream *)(const void *)from));
        const size_t used = lp_stream_used((const lp_stream *)(const void *)into);
        if (used > MESSAGE) {
            require(LP_ERR_SPACE);
        }
        memcpy(at, into, used);
    }
}

/* a rank's ids of one kind: [first, end) of n, all ranks having the same number after padding */
typedef struct share {
    size_t first, end, padded;
} share;

static share share_of(size_t n, size_t rank, size_t ranks)
{
    const size_t padded = (n + PADDING - 1) / PADDING * PADDING, each = (padded + ranks - 1) / ranks;
    const size_t first = rank * each < n ? rank * each : n, end = first + each < n ? first + each : n;
    const share s = {first, end, each};
    return s;
}

/* pushes one kind of a row; `logits` is where the rank has its first id of that kind */
static void push_share(unsigned char *state, const float *logits, share s, size_t id, int32_t token)
{
    const lp_logits part = {.data = logits, .rows = 1, .vocab = s.end - s.first};
    require(lp_stream_init(state, STATE, TOP, (int32_t)(id + s.first), token));
    require(lp_stream_push((lp_stream *)(void *)state, &part));
}

static int32_t token_of(size_t row)
{
    return row == ROWS - 1 ? VOCAB - 1 : (int32_t)(row * 9973 % VOCAB);
}

/* the rows of this rank as the LM head leaves them; padding is made NaN to show that it is not looked at */
static float *local_logits(share original, share added)
{
    const size_t width = original.padded + added.padded;
    const uint32_t nan = 0x7fc00000;
    float *logits = example_memory(ROWS * width, sizeof *logits);
    for (size_t row = 0; row < ROWS; row++) {
        float *x = logits + row * width;
        for (size_t i = 0; i < width; i++) {
            memcpy(&x[i], &nan, sizeof nan);
        }
        for (size_t i = original.first; i < original.end; i++) {
            x[i - original.first] = example_logit(row, i);
        }
        for (size_t i = added.first; i < added.end; i++) {
            x[original.padded + i - added.first] = example_logit(row, ORIGINAL + i);
        }
    }
    return logits;
}

/* what one call over the whole row gives */
static void whole_row(size_t row, example_result *out)
{
    float *x = example_memory(VOCAB, sizeof *x);
    for (size_t i = 0; i < VOCAB; i++) {
        x[i] = example_logit(row, i);
    }
    const lp_logits in = {.data = x, .rows = 1, .vocab = VOCAB};
    example_score(&in, token_of(row), out);
    free(x);
}

int main(int argc, char **argv)
{
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    MPI_Datatype state_type;
    MPI_Op merge;
    MPI_Type_contiguous(MESSAGE, MPI_BYTE, &state_type);
    MPI_Type_commit(&state_type);
    MPI_Op_create(merge_states, 0, &merge);

    const share original = share_of(ORIGINAL, (size_t)rank, (size_t)ranks),
                added = share_of(ADDED, (size_t)rank, (size_t)ranks);
    const size_t width = original.padded + added.padded;
    float *logits = local_logits(original, added);
    unsigned char *mine = example_memory(ROWS, MESSAGE), *all = example_memory(ROWS, MESSAGE);
    static unsigned char state[STATE], other[STATE];
    for (size_t row = 0; row < ROWS; row++) {
        const float *x = logits + row * width;
        push_share(state, x, original, 0, token_of(row));
        push_share(other, x + original.padded, added, ORIGINAL, token_of(row));
        require(lp_stream_merge((lp_stream *)(void *)state, (const lp_stream *)(const void *)other));
        memcpy(mine + row * MESSAGE, state, lp_stream_used((const lp_stream *)(const void *)state));
    }
    MPI_Allreduce(mine, all, ROWS, state_type, merge, MPI_COMM_WORLD);

    int wrong = 0, wrong_anywhere;
    for (size_t row = 0; row < ROWS; row++) {
        example_result got, want;
        memcpy(state, all + row * MESSAGE, MESSAGE);
        example_finish((const lp_stream *)(const void *)state, &got);
        whole_row(row, &want);
        wrong += memcmp(&got, &want, sizeof got) != 0;
        if (rank == 0) {
            printf("row %zu: logsumexp %.6f, entropy %.6f, token %d %.6f, best %d %.6f\n", row, (double)got.logsumexp,
                   (double)got.entropy, (int)token_of(row), (double)got.token_logprob, (int)got.top_token[0],
                   (double)got.top_logprob[0]);
        }
    }
    MPI_Allreduce(&wrong, &wrong_anywhere, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
    if (rank == 0) {
        printf("%d ranks, %d original and %d added ids, %zu bytes a row sent for %zu of logits: %s\n", ranks,
               (int)ORIGINAL, (int)ADDED, (size_t)MESSAGE, VOCAB * sizeof(float),
               wrong_anywhere == 0 ? "on every rank the bits of one call over the row" : "DIFFERENT BITS");
    }
    free(logits);
    free(mine);
    free(all);
    MPI_Op_free(&merge);
    MPI_Type_free(&state_type);
    MPI_Finalize();
    return wrong_anywhere == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
