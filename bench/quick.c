/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A small timing program without dependencies: every job as a ratio to the read-only scan of the same run. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "max_scan.h"
#include "workload.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLD_ROWS = 64, MOST_REPS = 1001, MOST_VOCABS = 16 };

/* What the jobs of one vocabulary work on. `in` is the row, or the matrix, of the call being timed. */
typedef struct bench_state {
    size_t vocab, rows, matrices, next;
    float *arena, *copies; /* `matrices` times [COLD_ROWS, vocab] of input, and of output */
    const float *in;
    float *out;
    max_scan scan;
    int32_t token[COLD_ROWS];
    float lse[COLD_ROWS], entropy[COLD_ROWS], chosen[COLD_ROWS], *top_logprob;
    int32_t rank[COLD_ROWS], *top_token;
    uint32_t *allowed;
    struct pair *pair;
} bench_state;

static volatile float sink;

static lp_logits input(const bench_state *b)
{
    return (lp_logits){.data = b->in, .rows = b->rows, .vocab = b->vocab};
}

static void run_scan(bench_state *b)
{
    for (size_t r = 0; r < b->rows; r++)
        sink = b->scan(b->in + r * b->vocab, b->vocab);
}

static void run_memcpy(bench_state *b)
{
    memcpy(b->out, b->in, b->rows * b->vocab * sizeof *b->in);
}

static void run_logsumexp(bench_state *b)
{
    lp_logits in = input(b);
    need_ok(lp_logsumexp(&in, b->lse));
}

static void run_entropy(bench_state *b)
{
    lp_logits in = input(b);
    need_ok(lp_entropy(&in, b->entropy));
}

static void run_log_softmax(bench_state *b)
{
    lp_logits in = input(b);
    need_ok(lp_log_softmax(&in, b->out, 0));
}

static void run_score(bench_state *b)
{
    lp_logits in = input(b);
    lp_scores out = {.logsumexp = b->lse,
                     .entropy = b->entropy,
                     .token_logprob = b->chosen,
                     .token_rank = b->rank,
                     .top_logprob = b->top_logprob,
                     .top_token = b->top_token};
    need_ok(lp_score(&in, b->token, 20, &out));
}

static void score_top(bench_state *b, size_t k)
{
    lp_logits in = input(b);
    lp_scores out = {.logsumexp = b->lse, .top_logprob = b->top_logprob, .top_token = b->top_token};
    need_ok(lp_score(&in, NULL, k, &out));
}

static void run_top0(bench_state *b)
{
    score_top(b, 0);
}
static void run_top1(bench_state *b)
{
    score_top(b, 1);
}
static void run_top5(bench_state *b)
{
    score_top(b, 5);
}
static void run_top20(bench_state *b)
{
    score_top(b, 20);
}
static void run_top100(bench_state *b)
{
    score_top(b, 100);
}
static void run_top_all(bench_state *b)
{
    score_top(b, b->vocab);
}

static void run_masked(bench_state *b)
{
    lp_logits in = input(b);
    in.allowed = b->allowed;
    lp_scores out = {.logsumexp = b->lse, .top_logprob = b->top_logprob, .top_token = b->top_token};
    need_ok(lp_score(&in, NULL, 20, &out));
}

/* ---- the sort that lp_score with k = vocab has to beat: (logit, id) pairs, compared inline as std::sort does -------- */
struct pair {
    float logit;
    int32_t id;
};

static int before(struct pair a, struct pair b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void swap(struct pair *a, struct pair *b)
{
    struct pair t = *a;
    *a = *b;
    *b = t;
}

static void insertion_sort(struct pair *p, ptrdiff_t n)
{
    for (ptrdiff_t i = 1; i < n; i++) {
        struct pair t = p[i];
        ptrdiff_t j = i;
        for (; j > 0 && before(t, p[j - 1]); j--)
            p[j] = p[j - 1];
        p[j] = t;
    }
}

static void quick_sort(struct pair *p, ptrdiff_t n)
{
    while (n > 16) {
        struct pair *mid = p + n / 2, *last = p + n - 1;
        if (before(*mid, *p))
            swap(mid, p);
        if (before(*last, *mid))
            swap(last, mid);
        if (before(*mid, *p))
            swap(mid, p);
        struct pair pivot = *mid;
        ptrdiff_t i = 0, j = n - 1;
        while (i <= j) {
            while (before(p[i], pivot))
                i++;
            while (before(pivot, p[j]))
                j--;
            if (i <= j)
                swap(p + i++, p + j--);
        }
        quick_sort(p, j + 1);
        p += i;
        n -= i;
    }
    insertion_sort(p, n);
}

static void run_sort(bench_state *b)
{
    for (size_t i = 0; i < b->vocab; i++)
        b->pair[i] = (struct pair){b->in[i], (int32_t)i};
    quick_sort(b->pair, (ptrdiff_t)b->vocab);
    sink = b->pair[0].logit;
}

/* ---- measuring --------------------------------------------------------------------------------------------------- */
typedef struct job {
    const char *name;
    void (*run)(bench_state *);
} job;

static const job JOBS[] = {
    {"scan", run_scan},   {"memcpy", run_memcpy},   {"logsumexp", run_logsumexp}, {"log_softmax", run_log_softmax},
    {"score", run_score}, {"entropy", run_entropy}, {"top0", run_top0},           {"top1", run_top1},
    {"top5", run_top5},   {"top20", run_top20},     {"top100", run_top100},
};
enum { JOB_COUNT = sizeof JOBS / sizeof *JOBS };

typedef struct timing {
    double sample[MOST_REPS];
    size_t count, inner;
} timing;

typedef struct options {
    lp_isa isa[4];
    size_t vocab[MOST_VOCABS], isas, vocabs, arena;
    const char *jobs;
    int reps, core, cold, special;
} options;

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(timing *t)
{
    if (!t->count)
        return NAN;
    qsort(t->sample, t->count, sizeof *t->sample, ascending);
    return t->count % 2 ? t->sample[t->count / 2] : 0.5 * (t->sample[t->count / 2 - 1] + t->sample[t->count / 2]);
}

static double least(timing *t)
{
    median(t); /* sorts */
    return t->count ? t->sample[0] : NAN;
}

/* Warm: a call that is not timed brings the row back into the cache that the job before took from it. */
static void sample_warm(bench_state *b, const job *j, timing *t)
{
    j->run(b);
    if (!t->inner) {
        double start = cpu_seconds();
        j->run(b);
        double once = cpu_seconds() - start;
        t->inner = once > 1e-4 ? 1 : (size_t)(1e-4 / (once + 1e-8)) + 1;
    }
    double start = cpu_seconds();
    for (size_t i = 0; i < t->inner; i++)
        j->run(b);
    t->sample[t->count++] = (cpu_seconds() - start) / (double)t->inner;
}

/* Cold: the matrix that was touched longest ago. */
static void sample_cold(bench_state *b, const job *j, timing *t)
{
    size_t matrix = COLD_ROWS * b->vocab, at = b->next++ % b->matrices;
    b->in = b->arena + at * matrix;
    b->out = b->copies + at * matrix;
    b->rows = COLD_ROWS;
    double start = cpu_seconds();
    j->run(b);
    t->sample[t->count++] = (cpu_seconds() - start) / COLD_ROWS;
}

static int wanted(const options *o, const char *name)
{
    return !o->jobs || strcmp(name, "scan") == 0 || strstr(o->jobs, name) != NULL;
}

static void measure(const options *o, bench_state *b, timing *warm, timing *cold)
{
    for (int rep = 0; rep < o->reps; rep++)
        for (int j = 0; j < JOB_COUNT; j++)
            if (wanted(o, JOBS[j].name)) {
                b->in = b->arena;
                b->out = b->copies;
                b->rows = 1;
                sample_warm(b, &JOBS[j], &warm[j]);
            }
    for (int rep = 0; o->cold && rep < (o->reps + 2) / 3; rep++)
        for (int j = 0; j < JOB_COUNT; j++)
            if (wanted(o, JOBS[j].name))
                sample_cold(b, &JOBS[j], &cold[j]);
}

static void print_pair(timing *t, timing *scan)
{
    if (!t->count)
        return;
    printf(" |%9.2f%9.2f%7.2f%7.2f", 1e6 * median(t), 1e6 * least(t), median(t) / median(scan), least(t) / least(scan));
}

static void table(const options *o, bench_state *b, lp_isa isa)
{
    static timing warm[JOB_COUNT], cold[JOB_COUNT];
    memset(warm, 0, sizeof warm);
    memset(cold, 0, sizeof cold);
    lp_isa_select(isa);
    b->scan = limit_scan(isa);
    measure(o, b, warm, cold);
    printf("\n%-12s%8s | warm: median    min  xscan (min)%s\n", lp_isa_name(isa), "us/row",
           o->cold ? " | cold: median    min  xscan (min)" : "");
    for (int j = 0; j < JOB_COUNT; j++) {
        if (!warm[j].count)
            continue;
        printf("%-12s%8zu", JOBS[j].name, b->vocab);
        print_pair(&warm[j], &warm[0]);
        print_pair(&cold[j], &cold[0]);
        printf("\n");
    }
    fflush(stdout);
}

/* ---- rows that are not ordinary ---------------------------------------------------------------------------------- */
static double time_row(const options *o, bench_state *b, const char *name, void (*run)(bench_state *), double base)
{
    static timing t;
    memset(&t, 0, sizeof t);
    job j = {name, run};
    for (int rep = 0; rep < (o->reps + 2) / 3; rep++)
        sample_warm(b, &j, &t);
    double m = median(&t);
    printf("  %-44s%8zu%11.2f us%9.4f ns/el", name, b->vocab, 1e6 * m, 1e9 * m / (double)b->vocab);
    printf(base > 0 ? "%9.2fx\n" : "\n", m / base);
    fflush(stdout);
    return m;
}

static void special(const options *o, bench_state *b, lp_isa isa, size_t vocab)
{
    lp_isa_select(isa);
    b->vocab = vocab;
    b->rows = 1;
    b->in = b->arena;
    printf("\n%s, rows that are not ordinary (the ratio is to the line that the text names)\n", lp_isa_name(isa));
    row_fill(b->arena, vocab, ROW_BELL, 7);
    mask_fill(b->allowed, vocab, 1, 7);
    double random20 = time_row(o, b, "bell, top-20", run_top20, 0);
    time_row(o, b, "bell, 1% allowed by mask, top-20: to bell", run_masked, random20);
    double sorted = time_row(o, b, "bell, quicksort of (logit, id) pairs", run_sort, 0);
    time_row(o, b, "bell, top-vocab: to the quicksort", run_top_all, sorted);
    row_fill(b->arena, vocab, ROW_ASCENDING, 7);
    time_row(o, b, "ascending, top-20: to bell", run_top20, random20);
    row_fill(b->arena, vocab, ROW_MASKED, 7);
    time_row(o, b, "99% -inf, top-20: to bell", run_top20, random20);
    row_fill(b->arena, vocab, ROW_TIES, 7);
    time_row(o, b, "ties, top-20: to bell", run_top20, random20);
    row_fill(b->arena, vocab, ROW_BELL, 7);

    static const size_t small[] = {32000, 4096, 1024, 256, 64, 32};
    double per_element[2] = {0, 0};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        b->vocab = small[i];
        double n = (double)small[i];
        double lse = time_row(o, b, "logsumexp: ns/el to V=32000's", run_logsumexp, per_element[0] * n);
        double score = time_row(o, b, "score: ns/el to V=32000's", run_score, per_element[1] * n);
        if (i == 0)
            per_element[0] = lse / n, per_element[1] = score / n;
    }
}

/* ---- command line ------------------------------------------------------------------------------------------------ */
static lp_isa isa_named(const char *name, size_t length)
{
    for (lp_isa isa = LP_ISA_SCALAR; isa <= LP_ISA_NEON; isa++)
        if (strlen(lp_isa_name(isa)) == length && strncmp(lp_isa_name(isa), name, length) == 0)
            return isa;
    fprintf(stderr, "logprob_quick: no ISA \"%.*s\"\n", (int)length, name);
    exit(2);
}

static void parse_isas(options *o, const char *text)
{
    for (o->isas = 0; *text && o->isas < 4; text += strspn(text, ",")) {
        size_t length = strcspn(text, ",");
        o->isa[o->isas++] = isa_named(text, length);
        text += length;
    }
}

static void parse_vocabs(options *o, const char *text)
{
    char *end;
    for (o->vocabs = 0; *text && o->vocabs < MOST_VOCABS; text = end + strspn(end, ",")) {
        size_t v = strtoull(text, &end, 10);
        if (end == text || v == 0 || v > INT32_MAX)
            fprintf(stderr, "logprob_quick: bad vocabulary \"%s\"\n", text), exit(2);
        o->vocab[o->vocabs++] = v;
    }
}

static void usage(FILE *to)
{
    fputs("logprob_quick [--isa avx512,avx2,scalar] [--vocab 128256,...] [--jobs logsumexp,score,...]\n"
          "              [--reps 101] [--core N] [--arena MiB] [--no-cold] [--special | --no-special]\n"
          "Times in us per row, one pinned core; xscan is the ratio to the read-only max scan of the same run and\n"
          "ISA width, of medians and of minima. Warm: one row; cold: 64 rows of a matrix last touched --arena ago.\n"
          "Jobs: scan memcpy logsumexp log_softmax score (logsumexp, entropy, chosen logprob, rank, top-20) entropy\n"
          "top0 top1 top5 top20 top100 (logsumexp and top-k). --special: only the rows that are not ordinary.\n",
          to);
}

static options parse(int argc, char **argv)
{
    options o = {.reps = 101, .core = -1, .cold = 1, .special = 1, .arena = 512};
    parse_vocabs(&o, "128256");
    for (lp_isa isa = LP_ISA_NEON; isa >= LP_ISA_SCALAR; isa--)
        if (lp_isa_supported(isa))
            o.isa[o.isas++] = isa;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--no-cold") == 0) {
            o.cold = 0;
        } else if (strcmp(argv[i], "--special") == 0) {
            o.special = 2;
        } else if (strcmp(argv[i], "--no-special") == 0) {
            o.special = 0;
        } else if (!value || strncmp(argv[i], "--", 2) != 0) {
            usage(strcmp(argv[i], "--help") == 0 ? stdout : stderr);
            exit(strcmp(argv[i], "--help") == 0 ? 0 : 2);
        } else {
            i++;
            if (strcmp(argv[i - 1], "--isa") == 0)
                parse_isas(&o, value);
            else if (strcmp(argv[i - 1], "--vocab") == 0)
                parse_vocabs(&o, value);
            else if (strcmp(argv[i - 1], "--jobs") == 0)
                o.jobs = value;
            else if (strcmp(argv[i - 1], "--reps") == 0)
                o.reps = atoi(value);
            else if (strcmp(argv[i - 1], "--core") == 0)
                o.core = atoi(value);
            else if (strcmp(argv[i - 1], "--arena") == 0)
                o.arena = strtoull(value, NULL, 10);
            else
                usage(stderr), exit(2);
        }
    }
    o.reps = o.reps < 1 ? 1 : o.reps > MOST_REPS ? MOST_REPS : o.reps;
    return o;
}

static size_t largest(const options *o)
{
    size_t most = 128256; /* the special rows' */
    for (size_t i = 0; i < o->vocabs; i++)
        most = o->vocab[i] > most ? o->vocab[i] : most;
    return most;
}

static bench_state *state_new(const options *o)
{
    bench_state *b = bench_alloc(sizeof *b);
    size_t most = largest(o), matrix = COLD_ROWS * most * sizeof(float);
    size_t bytes = o->cold ? cold_bytes(o->arena << 20) : 0;
    bytes = bytes > matrix ? bytes : matrix;
    b->arena = bench_alloc(bytes);
    b->copies = bench_alloc(bytes);
    b->matrices = bytes / sizeof(float); /* elements, until a vocabulary is chosen */
    size_t top = most > COLD_ROWS * 100 ? most : COLD_ROWS * 100;
    b->top_logprob = bench_alloc(top * sizeof(float));
    b->top_token = bench_alloc(top * sizeof(int32_t));
    b->allowed = bench_alloc((most + 31) / 32 * sizeof(uint32_t));
    b->pair = bench_alloc(most * sizeof(struct pair));
    return b;
}

int main(int argc, char **argv)
{
    options o = parse(argc, argv);
    int core = pin_to_core(o.core);
    bench_state *b = state_new(&o);
    size_t elements = b->matrices;
    printf("%s, %s, logprob %s, core %d, %d repetitions, cold over %zu MiB\n", cpu_model(), compiler_name(),
           lp_version(), core, o.reps, elements * sizeof(float) >> 20);
    for (size_t v = 0; o.special < 2 && v < o.vocabs; v++) {
        b->vocab = o.vocab[v];
        b->matrices = elements / (COLD_ROWS * b->vocab);
        b->next = 1;
        for (size_t r = 0; r < (o.cold ? b->matrices * COLD_ROWS : 1); r++)
            row_fill(b->arena + r * b->vocab, b->vocab, ROW_BELL, r + 1);
        for (size_t r = 0; r < COLD_ROWS; r++)
            b->token[r] = (int32_t)((r * 7919 + 13) % b->vocab);
        for (size_t i = 0; i < o.isas; i++)
            if (lp_isa_supported(o.isa[i]))
                table(&o, b, o.isa[i]);
            else
                printf("\n%s: not supported here\n", lp_isa_name(o.isa[i]));
    }
    for (size_t i = 0; o.special && i < o.isas; i++)
        if (lp_isa_supported(o.isa[i]))
            special(&o, b, o.isa[i], 128256);
    return 0;
}
