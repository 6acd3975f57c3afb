/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `logprob compare`: two files of logits at the same positions, one read of each. */
#include "command.h"
#include "comparing.h"

#include <stdlib.h>

static const char help[] =
    "Usage: logprob compare A B [--tokens TOKENS.npy [--shift]] [OPTIONS]\n"
    "\n"
    "Compares two models on the same positions: A is the reference, B the model that changed (a\n"
    "quantised or finetuned one). A and B are files of logits like those of logprob score, of the\n"
    "same shape. Prints what llama-perplexity --kl-divergence prints: the mean of KL(A||B) with its\n"
    "uncertainty, percentiles, how often both have the same most likely token and, with --tokens,\n"
    "both perplexities, their ratio, and how the probability of the true token changed (B - A).\n"
    "\n"
    "  --tokens FILE     the token ids, a 1-D integer .npy with one id for each row\n"
    "  --shift           row t is about token t+1; the last row is left out\n"
    "  --format F        table (default), json, or csv (the rows, without summary)\n"
    "  --dtype D         f32, f16 or bf16: what both files must hold; bf16 reads a uint16 .npy\n"
    "  --dtype-b D       the same for B alone\n"
    "  --tensor NAME     which tensor of .safetensors files\n"
    "  --tensor-b NAME   the same for B alone\n"
    "  --temperature T   divide all logits by T first\n"
    "  --softcap C       apply C*tanh(x/C) to all logits first (before the temperature)\n"
    "  -h, --help        this text\n"
    "\n"
    "Exit codes: 0 done; 1 done, but some rows have no result (NaN, +inf or no mass at all);\n"
    "2 bad arguments or input.\n";

enum {
    OPTION_TOKENS = OPTION_FIRST,
    OPTION_SHIFT,
    OPTION_FORMAT,
    OPTION_DTYPE,
    OPTION_DTYPE_B,
    OPTION_TENSOR,
    OPTION_TENSOR_B,
    OPTION_TEMPERATURE,
    OPTION_SOFTCAP
};

static const struct option options[] = {{"tokens", required_argument, NULL, OPTION_TOKENS},
                                        {"shift", no_argument, NULL, OPTION_SHIFT},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"dtype", required_argument, NULL, OPTION_DTYPE},
                                        {"dtype-b", required_argument, NULL, OPTION_DTYPE_B},
                                        {"tensor", required_argument, NULL, OPTION_TENSOR},
                                        {"tensor-b", required_argument, NULL, OPTION_TENSOR_B},
                                        {"temperature", required_argument, NULL, OPTION_TEMPERATURE},
                                        {"softcap", required_argument, NULL, OPTION_SOFTCAP},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

typedef struct request {
    const char *path[2], *tokens;
    matrix_options matrix[2];
    bool own_dtype, own_tensor; /* of B */
    bool shift;
    float inv_temperature, softcap;
    format form;
} request;

static void take_matrix_option(request *r, int option, const char *value)
{
    matrix_options *a = &r->matrix[0], *b = &r->matrix[1];
    bool of_b = option == OPTION_DTYPE_B || option == OPTION_TENSOR_B;
    if (option == OPTION_DTYPE || option == OPTION_DTYPE_B) {
        lp_dtype dtype = parse_dtype(of_b ? "--dtype-b" : "--dtype", value);
        if (of_b || !r->own_dtype)
            *b = (matrix_options){true, dtype, b->tensor};
        if (!of_b)
            *a = (matrix_options){true, dtype, a->tensor};
        r->own_dtype |= of_b;
    } else {
        if (of_b || !r->own_tensor)
            b->tensor = value;
        if (!of_b)
            a->tensor = value;
        r->own_tensor |= of_b;
    }
}

static void take_option(request *r, int option, const char *value)
{
    switch (option) {
    case OPTION_TOKENS:
        r->tokens = value;
        break;
    case OPTION_SHIFT:
        r->shift = true;
        break;
    case OPTION_FORMAT:
        r->form = parse_format(value);
        break;
    case OPTION_TEMPERATURE:
        r->inv_temperature = parse_inverse("--temperature", value);
        break;
    case OPTION_SOFTCAP:
        r->softcap = parse_positive("--softcap", value);
        break;
    default:
        take_matrix_option(r, option, value);
        break;
    }
}

/* false: --help was printed. */
static bool parse_request(int argc, char **argv, request *r)
{
    *r = (request){0};
    for (int c; (c = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(help, stdout);
            return false;
        }
        if (c == '?' || c == ':')
            die_option("compare", argv, c);
        take_option(r, c, optarg);
    }
    char **paths = parse_operands("compare", argc, argv, 2, "two, A and B");
    r->path[0] = paths[0];
    r->path[1] = paths[1];
    if (r->shift && !r->tokens)
        die("compare: --shift without --tokens; expected the tokens that are shifted");
    return true;
}

static void allocate(comparing *c)
{
    c->kl = need(c->rows, sizeof *c->kl);
    c->reverse_kl = need(c->rows, sizeof *c->reverse_kl);
    c->cross_entropy = need(c->rows, sizeof *c->cross_entropy);
    c->max_abs_diff = need(c->rows, sizeof *c->max_abs_diff);
    c->a_logprob = need(c->rows, sizeof *c->a_logprob);
    c->b_logprob = need(c->rows, sizeof *c->b_logprob);
    c->a_top = need(c->rows, sizeof *c->a_top);
    c->b_top = need(c->rows, sizeof *c->b_top);
    c->status = need(c->rows, sizeof *c->status);
}

static void release(comparing *c)
{
    free(c->kl);
    free(c->reverse_kl);
    free(c->cross_entropy);
    free(c->max_abs_diff);
    free(c->a_logprob);
    free(c->b_logprob);
    free(c->a_top);
    free(c->b_top);
    free(c->status);
}

static lp_logits rows_of(const matrix *m, const request *r, size_t first, size_t rows)
{
    return (lp_logits){.data = m->data + first * m->vocab * dtype_size(m->dtype),
                       .rows = rows,
                       .vocab = m->vocab,
                       .dtype = m->dtype,
                       .inv_temperature = r->inv_temperature,
                       .softcap = r->softcap};
}

static void compare_chunk(comparing *c, const request *r, const matrix m[2], size_t first, size_t rows)
{
    lp_logits a = rows_of(&m[0], r, first, rows), b = rows_of(&m[1], r, first, rows);
    lp_divergence out = {.kl = c->kl + first,
                         .reverse_kl = c->reverse_kl + first,
                         .cross_entropy = c->cross_entropy + first,
                         .max_abs_diff = c->max_abs_diff + first,
                         .p_token_logprob = c->token ? c->a_logprob + first : NULL,
                         .q_token_logprob = c->token ? c->b_logprob + first : NULL,
                         .p_top = c->a_top + first,
                         .q_top = c->b_top + first,
                         .status = c->status + first};
    lp_status status = lp_compare(&a, &b, c->token ? c->token + first : NULL, &out);
    if (!is_row_result(status))
        die("%s and %s cannot be compared: %s", r->path[0], r->path[1], lp_status_string(status));
    for (size_t i = first; i < first + rows; i++)
        c->failed_rows += c->status[i] != LP_OK;
}

static void compare_all(comparing *c, const request *r, const matrix m[2])
{
    size_t chunk = chunk_rows(&m[0]);
    allocate(c);
    progress_start("comparing", c->rows, c->columns * (dtype_size(m[0].dtype) + dtype_size(m[1].dtype)));
    for (size_t first = 0; first < c->rows; first += chunk) {
        size_t rows = c->rows - first < chunk ? c->rows - first : chunk;
        compare_chunk(c, r, m, first, rows);
        progress_update(first + rows);
    }
    progress_clear();
}

static void open_inputs(const request *r, matrix m[2], int32_t **tokens, comparing *c)
{
    fault why;
    for (int i = 0; i < 2; i++)
        if (matrix_open(r->path[i], &r->matrix[i], &m[i], &why))
            die("%s", why.text);
    if (m[0].rows != m[1].rows || m[0].vocab != m[1].vocab)
        die("%s: shape %zu x %zu; expected %zu x %zu, as %s has", r->path[1], m[1].rows, m[1].vocab, m[0].rows,
            m[0].vocab, r->path[0]);
    if (r->tokens && tokens_read(r->tokens, m[0].rows, m[0].vocab, tokens, &why))
        die("%s", why.text);
    bool shifted = r->shift && m[0].rows > 0;
    c->rows = m[0].rows - shifted;
    c->columns = m[0].vocab;
    c->token = *tokens ? *tokens + shifted : NULL;
}

int compare_main(int argc, char **argv)
{
    request r;
    if (!parse_request(argc, argv, &r))
        return EXIT_FINE;
    matrix m[2];
    int32_t *tokens = NULL;
    comparing c = {.form = r.form, .a = r.path[0], .b = r.path[1]};
    open_inputs(&r, m, &tokens, &c);
    compare_all(&c, &r, m);
    comparing_print(&c);
    bool failed = c.failed_rows > 0;
    if (failed)
        complain("%zu of %zu rows have no result (NaN, +inf or no mass at all)", c.failed_rows, c.rows);
    release(&c);
    free(tokens);
    matrix_close(&m[0]);
    matrix_close(&m[1]);
    return failed ? EXIT_FINDINGS : EXIT_FINE;
}
