/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Pairs of jobs that alternate within a fraction of a millisecond, so that what a shared machine does to one it does to the
 * other: the ratios that docs/performance.md states. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "max_scan.h"
#include "workload.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLD_ROWS = 64, SMALL_ROWS = 512, MOST_ROUNDS = 4001, SLICE_NS = 150000, DRAWS = 16 };
/* One row again and again teaches the CPU where its largest elements are, which no server's rows do. So a call over a warm row begins
 * elsewhere in one that is a little longer: these many elements further, times one of so many. */
enum { MOVE = 32, MOVES = 128, MOVES_STEP = 37 };

/* A call over `rows` rows of `vocab` logits of one kind; every member that is not given is 0. */
typedef struct job {
    const char *name;
    void (*run)(const struct job *);
    size_t vocab, rows, k, tile;
    size_t matrices; /* to take turns */
    lp_dtype dtype;
    row_kind row;
    unsigned allowed; /* per cent; 0: no mask */
    float inv_temperature, softcap;
    float level; /* of the second model's logits, above the first one's */
    int cold;
    int drawn; /* the tokens are drawn by the rows' own probabilities */
} job;

/* [rows][vocab] of the widest case of each kind that is asked for, and where the next cold matrix lies */
typedef struct matrix {
    const void *data;
    size_t bytes, count, next;
    size_t moves;   /* how many places a row may begin at */
    int32_t *drawn; /* DRAWS times a token for each row, once it is asked for */
} matrix;

static struct {
    size_t vocab, arena;
    max_scan scan;
    float *out, *a, *b, *c, *d;
    double *kl, *reverse_kl, *cross_entropy;
    int32_t *token, *rank, *top_token, *best;
    float *top_logprob;
    uint32_t *mask[101];
    unsigned char *stream;
} shared;

static volatile float sink;

static float *filled(size_t rows, size_t vocab, row_kind kind)
{
    float *x = bench_alloc(rows * vocab * sizeof *x);
    for (size_t r = 0; r < rows; r++)
        row_fill(x + r * vocab, vocab, kind, r + 1);
    return x;
}

static const void *narrowed(float *x, size_t n, lp_dtype dtype)
{
    if (dtype == LP_F32)
        return x;
    uint16_t *half = bench_alloc(n * sizeof *half);
    row_narrow(half, x, n, dtype);
    free(x);
    return half;
}

/* the matrices of this dtype, vocabulary and kind: one, or for cold jobs as many as the last-level cache cannot hold */
static matrix *matrices(const job *j)
{
    static struct {
        matrix m;
        size_t vocab, rows, matrices;
        lp_dtype dtype;
        row_kind row;
        int cold;
    } made[64];
    static size_t n;
    for (size_t i = 0; i < n; i++)
        if (made[i].vocab == j->vocab && made[i].rows == j->rows && made[i].dtype == j->dtype &&
            made[i].row == j->row && made[i].cold == j->cold)
            return &made[i].m;
    size_t bytes = j->rows * j->vocab * dtype_size(j->dtype), count = j->matrices ? j->matrices : 1;
    if (j->cold)
        count = (cold_bytes(shared.arena << 20) + bytes - 1) / bytes;
    const size_t moves = count * j->rows == 1 ? MOVES : 1, length = j->vocab + (moves - 1) * MOVE;
    made[n].m = (matrix){narrowed(filled(count * j->rows, length, j->row), count * j->rows * length, j->dtype),
                         bytes,
                         count,
                         0,
                         moves,
                         NULL};
    made[n].vocab = j->vocab, made[n].rows = j->rows, made[n].dtype = j->dtype, made[n].row = j->row;
    made[n].cold = j->cold, made[n].matrices = j->matrices;
    return &made[n++].m;
}

/* how many elements further the row of a turn begins */
static size_t moved(const matrix *m, size_t turn)
{
    return turn * MOVES_STEP % m->moves * MOVE;
}

/* the next matrix as the library sees it; `other`: a second model's beside it, which differs */
static lp_logits input(const job *j, int other)
{
    matrix *m = matrices(j);
    const size_t turn = other ? m->next - 1 : m->next++, at = moved(m, turn) * dtype_size(j->dtype);
    lp_logits in = {.data = (const char *)m->data + turn % m->count * m->bytes + at,
                    .rows = j->rows,
                    .vocab = j->vocab,
                    .dtype = j->dtype};
    in.inv_temperature = j->inv_temperature;
    in.softcap = j->softcap;
    in.allowed = j->allowed ? shared.mask[j->allowed] : NULL;
    if (other) {
        static float *second, level;
        static const matrix *first;
        if (first != m || level != j->level) { /* the first with a little noise, as a quantised model's logits are */
            free(second);
            const size_t length = j->vocab + (m->moves - 1) * MOVE;
            second = bench_alloc(length * sizeof *second);
            row_second(second, m->data, length, 0.02F, j->level, 3);
            first = m;
            level = j->level;
        }
        in.data = (const char *)second + at;
    }
    return in;
}

/* a token for each row that the next input has */
static const int32_t *tokens(const job *j)
{
    static size_t turn;
    if (!j->drawn)
        return shared.token;
    matrix *m = matrices(j);
    const size_t rows = m->count * j->rows, at = m->next % m->count;
    const size_t shared_from = (m->moves - 1) * MOVE; /* of what a row has wherever it begins */
    if (m->drawn == NULL) {
        uint64_t state = 5;
        m->drawn = bench_alloc(DRAWS * rows * sizeof *m->drawn);
        for (size_t r = 0; r < rows; r++)
            row_draw(m->drawn + r, rows, DRAWS, (const float *)m->data + r * j->vocab + shared_from,
                     j->vocab - shared_from, &state);
    }
    const int32_t *drawn = m->drawn + turn++ % DRAWS * rows + at * j->rows;
    if (m->moves == 1)
        return drawn;
    static int32_t token;
    token = *drawn + (int32_t)(shared_from - moved(m, m->next));
    return &token;
}

static void run_scan(const job *j)
{
    lp_logits in = input(j, 0);
    for (size_t r = 0; r < j->rows; r++)
        sink = shared.scan((const float *)in.data + r * j->vocab, j->vocab);
}

static void run_logsumexp(const job *j)
{
    lp_logits in = input(j, 0);
    need_ok(lp_logsumexp(&in, shared.a));
}

static void run_log_softmax(const job *j)
{
    lp_logits in = input(j, 0);
    need_ok(lp_log_softmax(&in, shared.out, 0));
}

/* logsumexp, entropy, chosen token's logprob and rank, top k */
static void run_score(const job *j)
{
    const int32_t *token = tokens(j);
    lp_logits in = input(j, 0);
    lp_scores out = {.logsumexp = shared.a,
                     .entropy = shared.b,
                     .token_logprob = shared.c,
                     .token_rank = shared.rank,
                     .top_logprob = shared.top_logprob,
                     .top_token = shared.top_token};
    need_ok(lp_score(&in, token, j->k, &out));
}

/* logsumexp and top k */
static void run_list(const job *j)
{
    lp_logits in = input(j, 0);
    lp_scores out = {.logsumexp = shared.a, .top_logprob = shared.top_logprob, .top_token = shared.top_token};
    need_ok(lp_score(&in, NULL, j->k, &out));
}

/* what a stream gives, from one call */
static void run_whole(const job *j)
{
    lp_logits in = input(j, 0);
    lp_scores out = {.logsumexp = shared.a,
                     .entropy = shared.b,
                     .token_logprob = shared.c,
                     .top_logprob = shared.top_logprob,
                     .top_token = shared.top_token};
    need_ok(lp_score(&in, shared.token, j->k, &out));
}

static void run_stream(const job *j)
{
    lp_logits in = input(j, 0), chunk = in;
    lp_stream *s = (lp_stream *)shared.stream;
    lp_row row;
    const size_t size = dtype_size(j->dtype);
    need_ok(lp_stream_init(shared.stream, lp_stream_size(j->k), j->k, 0, shared.token[0]));
    for (size_t at = 0; at < j->vocab; at += j->tile) {
        chunk.data = (const char *)in.data + at * size;
        chunk.vocab = j->vocab - at < j->tile ? j->vocab - at : j->tile;
        need_ok(lp_stream_push(s, &chunk));
    }
    need_ok(lp_stream_finish(s, &row, shared.top_logprob, shared.top_token));
    sink = row.logsumexp;
}

static void run_kl(const job *j)
{
    lp_logits p = input(j, 0), q = input(j, 1);
    lp_divergence out = {.kl = shared.kl};
    need_ok(lp_compare(&p, &q, NULL, &out));
}

static void run_compare(const job *j)
{
    lp_logits p = input(j, 0), q = input(j, 1);
    lp_divergence out = {.kl = shared.kl,
                         .reverse_kl = shared.reverse_kl,
                         .cross_entropy = shared.cross_entropy,
                         .max_abs_diff = shared.a,
                         .p_token_logprob = shared.b,
                         .q_token_logprob = shared.c,
                         .p_top = shared.rank,
                         .q_top = shared.best};
    need_ok(lp_compare(&p, &q, shared.token, &out));
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */
static double seconds(const job *j, size_t inner)
{
    double start = cpu_seconds();
    for (size_t i = 0; i < inner; i++)
        j->run(j);
    return (cpu_seconds() - start) / (double)inner;
}

/* calls that fill a slice; a cold job's are not repeated, for each is long enough */
static size_t calls(const job *j)
{
    j->run(j);
    double once = seconds(j, 1);
    return j->cold ? 1 : (size_t)(SLICE_NS * 1e-9 / (once + 1e-9)) + 1;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* `unit` counts how many of the base's elements one of the job's stands for: 1, but for other vocabularies */
static void pair(const job *j, const job *base, size_t rounds)
{
    static double ratio[MOST_ROUNDS];
    size_t inner = calls(j), base_inner = calls(base), n = j->cold ? rounds / 8 + 1 : rounds;
    double least = INFINITY, base_least = INFINITY;
    double elements = (double)(j->rows * j->vocab), base_elements = (double)(base->rows * base->vocab);
    for (size_t i = 0; i < n; i++) {
        j->run(j); /* the row is back in cache */
        double t = seconds(j, inner) / elements;
        base->run(base);
        double b = seconds(base, base_inner) / base_elements;
        least = fmin(least, t);
        base_least = fmin(base_least, b);
        ratio[i] = t / b;
    }
    qsort(ratio, n, sizeof *ratio, ascending);
    printf("%-34s%-26s%9.2f%9.2f%8.2f%8.2f\n", j->name, base->name, 1e6 * least * (double)j->vocab,
           1e6 * base_least * (double)base->vocab, least / base_least, ratio[n / 2]);
    fflush(stdout);
}

typedef struct comparison {
    job job, base;
} comparison;

static size_t comparisons(comparison *to, size_t v)
{
    const job scan = {"scan", run_scan, v, .rows = 1},
              cold_scan = {"cold scan", run_scan, v, .rows = COLD_ROWS, .cold = 1};
    const job lse = {"logsumexp", run_logsumexp, v, .rows = 1};
    const job score = {"score", run_score, v, .rows = 1, .k = 20};
    const job cold_lse = {"cold logsumexp", run_logsumexp, v, .rows = COLD_ROWS, .cold = 1};
    const job cold = {"cold score", run_score, v, .rows = COLD_ROWS, .k = 20, .cold = 1};
    const job score0 = {"score, k = 0", run_score, v, .rows = 1};
    const job list0 = {"logsumexp", run_list, v, .rows = 1}, list20 = {"list, k = 20", run_list, v, .rows = 1, .k = 20};
    const job whole = {"whole row", run_whole, v, .rows = 1, .k = 20};
    const job wholes = {"whole row, 4 rows", run_whole, v, .rows = 1, .k = 20, .matrices = 4};
    const job lse32000 = {"logsumexp, V = 32000", run_logsumexp, 32000, .rows = 1};
    const job lse2048 = {"logsumexp, V = 2048", run_logsumexp, 2048, .rows = 1};
    const job score32000 = {"score, V = 32000", run_score, 32000, .rows = 1, .k = 20};
    const comparison all[] = {
        {lse, scan},
        {score, scan},
        {{"score, a drawn token", run_score, v, .rows = 1, .k = 20, .drawn = 1}, scan},
        {{"log_softmax", run_log_softmax, v, .rows = 1}, scan},
        {cold_lse, cold_scan},
        {cold, cold_scan},
        {{"cold score, drawn tokens", run_score, v, .rows = COLD_ROWS, .k = 20, .cold = 1, .drawn = 1}, cold_scan},
        {{"cold log_softmax", run_log_softmax, v, .rows = COLD_ROWS, .cold = 1}, cold_scan},
        {{"score, k = 1", run_score, v, .rows = 1, .k = 1}, score0},
        {{"score, k = 5", run_score, v, .rows = 1, .k = 5}, score0},
        {score, score0},
        {{"score, k = 100", run_score, v, .rows = 1, .k = 100}, score0},
        {{"list, k = 1", run_list, v, .rows = 1, .k = 1}, list0},
        {{"list, k = 5", run_list, v, .rows = 1, .k = 5}, list0},
        {list20, list0},
        {{"list, k = 100", run_list, v, .rows = 1, .k = 100}, list0},
        {{"list, k = 20, normal", run_list, v, .rows = 1, .k = 20, .row = ROW_NORMAL}, list0},
        {{"list, k = 100, normal", run_list, v, .rows = 1, .k = 100, .row = ROW_NORMAL}, list0},
        {{"score, k = 20, normal", run_score, v, .rows = 1, .k = 20, .row = ROW_NORMAL}, score0},
        {{"score, k = 100, normal", run_score, v, .rows = 1, .k = 100, .row = ROW_NORMAL}, score0},
        {{"list, k = 20, ascending", run_list, v, .rows = 1, .k = 20, .row = ROW_ASCENDING}, list20},
        {{"list, k = 20, equal", run_list, v, .rows = 1, .k = 20, .row = ROW_EQUAL}, list20},
        {{"list, k = 20, 99% -inf", run_list, v, .rows = 1, .k = 20, .row = ROW_MASKED}, list20},
        {{"cold logsumexp, 99% -inf", run_logsumexp, v, .rows = COLD_ROWS, .cold = 1, .row = ROW_MASKED}, cold_lse},
        {{"cold score, 99% -inf", run_score, v, .rows = COLD_ROWS, .k = 20, .cold = 1, .row = ROW_MASKED}, cold},
        {{"logsumexp, around -90", run_logsumexp, v, .rows = 1, .row = ROW_LOW}, lse},
        {{"score, around -90", run_score, v, .rows = 1, .k = 20, .row = ROW_LOW}, score},
        {{"logsumexp, around -90, V = 2048", run_logsumexp, 2048, .rows = 1, .row = ROW_LOW}, lse2048},
        {{"logsumexp, sections at -90", run_logsumexp, v, .rows = 1, .row = ROW_SECTIONS}, lse},
        {{"logsumexp, times 10", run_logsumexp, v, .rows = 1, .row = ROW_WIDE}, lse},
        {{"score, times 10", run_score, v, .rows = 1, .k = 20, .row = ROW_WIDE}, score},
        {{"logsumexp, V = 256", run_logsumexp, 256, .rows = SMALL_ROWS}, lse32000},
        {{"logsumexp, V = 1024", run_logsumexp, 1024, .rows = SMALL_ROWS / 4}, lse32000},
        {{"score, V = 256", run_score, 256, .rows = SMALL_ROWS, .k = 20}, score32000},
        {{"score, V = 1024", run_score, 1024, .rows = SMALL_ROWS / 4, .k = 20}, score32000},
        {{"score, bf16", run_score, v, .rows = 1, .k = 20, .dtype = LP_BF16}, score},
        {{"score, f16", run_score, v, .rows = 1, .k = 20, .dtype = LP_F16}, score},
        {{"cold score, bf16", run_score, v, .rows = COLD_ROWS, .k = 20, .dtype = LP_BF16, .cold = 1}, cold},
        {{"cold score, f16", run_score, v, .rows = COLD_ROWS, .k = 20, .dtype = LP_F16, .cold = 1}, cold},
        {{"score, temperature", run_score, v, .rows = 1, .k = 20, .inv_temperature = 0.7F}, score},
        {{"score, softcap", run_score, v, .rows = 1, .k = 20, .softcap = 30}, score},
        {{"score, all allowed", run_score, v, .rows = 1, .k = 20, .allowed = 100}, score},
        {{"score, half allowed", run_score, v, .rows = 1, .k = 20, .allowed = 50}, score},
        {{"score, half allowed, bf16", run_score, v, .rows = 1, .k = 20, .dtype = LP_BF16, .allowed = 50}, score},
        {{"score, half allowed, scaled", run_score, v, .rows = 1, .k = 20, .inv_temperature = 0.7F, .allowed = 50},
         score},
        {{"score, 1% allowed", run_score, v, .rows = 1, .k = 20, .allowed = 1}, score},
        {{"stream, tiles of 4096", run_stream, v, .rows = 1, .k = 20, .tile = 4096}, whole},
        {{"stream, tiles of 4096, 4 rows", run_stream, v, .rows = 1, .k = 20, .tile = 4096, .matrices = 4}, wholes},
        {{"stream, pushes of 64", run_stream, v, .rows = 1, .k = 20, .tile = 64}, whole},
        {{"stream, pushes of 64, 4 rows", run_stream, v, .rows = 1, .k = 20, .tile = 64, .matrices = 4}, wholes},
        {{"compare, KL alone", run_kl, v, .rows = 1}, lse},
        {{"compare, all results", run_compare, v, .rows = 1}, lse},
        {{"compare, all, frequent first", run_compare, v, .rows = 1, .row = ROW_FREQUENT}, lse},
        {{"compare, all, 7 nats apart", run_compare, v, .rows = 1, .level = -7}, lse},
        {{"compare, all, half allowed", run_compare, v, .rows = 1, .allowed = 50}, lse},
        {{"compare, all, 99% -inf", run_compare, v, .rows = 1, .row = ROW_MASKED}, lse},
        {{"compare, all, around -90", run_compare, v, .rows = 1, .row = ROW_LOW}, lse},
        {{"compare, all, padded", run_compare, v, .rows = 1, .row = ROW_PADDED}, lse},
        {{"compare, all, sections at -90", run_compare, v, .rows = 1, .row = ROW_SECTIONS}, lse},
        {{"compare, all, V = 2048", run_compare, 2048, .rows = 1}, lse2048},
    };
    memcpy(to, all, sizeof all);
    return sizeof all / sizeof *all;
}

static void prepare_shared(size_t v)
{
    size_t rows = SMALL_ROWS, list = rows * 100;
    shared.vocab = v;
    shared.out = bench_alloc(COLD_ROWS * v * sizeof(float));
    float **floats[] = {&shared.a, &shared.b, &shared.c, &shared.d};
    for (size_t i = 0; i < 4; i++)
        *floats[i] = bench_alloc(rows * sizeof(float));
    double **doubles[] = {&shared.kl, &shared.reverse_kl, &shared.cross_entropy};
    for (size_t i = 0; i < 3; i++)
        *doubles[i] = bench_alloc(rows * sizeof(double));
    int32_t **ids[] = {&shared.token, &shared.rank, &shared.best};
    for (size_t i = 0; i < 3; i++)
        *ids[i] = bench_alloc(rows * sizeof(int32_t));
    for (size_t i = 0; i < rows; i++)
        shared.token[i] = (int32_t)((i * 7919 + 13) % 256);
    shared.top_logprob = bench_alloc(list * sizeof(float));
    shared.top_token = bench_alloc(list * sizeof(int32_t));
    shared.stream = bench_alloc(lp_stream_size(100));
    const unsigned percent[] = {1, 50, 100};
    for (size_t i = 0; i < 3; i++) {
        shared.mask[percent[i]] = bench_alloc((v + 31) / 32 * sizeof(uint32_t));
        mask_fill(shared.mask[percent[i]], v, percent[i], 7);
    }
}

static void usage(FILE *to)
{
    fputs("logprob_ratios [--isa ISA] [--vocab 128256] [--rounds 201] [--core N] [--arena 512] [--only TEXT]\n"
          "Jobs in pairs that alternate: microseconds a row of the fastest slice of each, their ratio, and the median "
          "of\n"
          "the ratios of neighbouring slices. Ratios are of times an element. --only: the pairs whose job's name has "
          "TEXT.\n",
          to);
}

int main(int argc, char **argv)
{
    size_t vocab = 128256, rounds = 201;
    int core = -1;
    lp_isa isa = lp_isa_active();
    const char *only = "";
    shared.arena = 512;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--help") == 0)
            return usage(stdout), 0;
        if (value == NULL)
            return usage(stderr), 2;
        if (strcmp(argv[i], "--isa") == 0) {
            for (isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON && strcmp(lp_isa_name(isa), value) != 0;)
                isa++;
        } else if (strcmp(argv[i], "--vocab") == 0)
            vocab = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--rounds") == 0)
            rounds = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--core") == 0)
            core = atoi(value);
        else if (strcmp(argv[i], "--arena") == 0)
            shared.arena = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--only") == 0)
            only = value;
        else
            return usage(stderr), 2;
    }
    if (vocab < 4096 || vocab > INT32_MAX || rounds < 1 || rounds > MOST_ROUNDS || lp_isa_select(isa) != LP_OK)
        return fprintf(stderr, "logprob_ratios: --vocab from 4096, --rounds up to %d, --isa one of this CPU\n",
                       MOST_ROUNDS),
               2;
    core = pin_to_core(core);
    shared.scan = limit_scan(isa);
    prepare_shared(vocab);
    static comparison list[64];
    size_t n = comparisons(list, vocab);
    printf("%s, %s, logprob %s, %s, core %d, V = %zu, %zu rounds\n", cpu_model(), compiler_name(), lp_version(),
           lp_isa_name(isa), core, vocab, rounds);
    printf("%-34s%-26s%9s%9s%8s%8s\n", "job", "to", "us", "us", "minima", "median");
    for (size_t i = 0; i < n; i++)
        if (strstr(list[i].job.name, only) != NULL)
            pair(&list[i].job, &list[i].base, rounds);
    return 0;
}
