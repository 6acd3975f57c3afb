/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `logprob score`: arguments, files, and one read of each row, a few megabytes at a time. */
#include "command.h"
#include "scoring.h"

#include <stdlib.h>
#include <unistd.h>

static const char help[] =
    "Usage: logprob score LOGITS --tokens TOKENS.npy [OPTIONS]\n"
    "\n"
    "Scores a text: for each row of LOGITS (rows x vocab), the log-probability (nats), rank and\n"
    "entropy of its token, then the sum, mean, perplexity and least likely position of all.\n"
    "LOGITS is a .npy file (float32, float16, or uint16 as bf16) in C order, or a .safetensors\n"
    "file (F32, F16, BF16). Files larger than memory are fine.\n"
    "\n"
    "  --tokens FILE     the token ids, a 1-D integer .npy with one id for each row\n"
    "  --shift           score row t against token t+1 (the logits of a model that read the tokens)\n"
    "  --top K           print the K most likely tokens of each row too\n"
    "  --format F        table (default), json (the shape of the OpenAI chat API's logprobs) or csv\n"
    "  --vocab FILE      text of the tokens: one a line, line i+1 for id i, with the escapes\n"
    "                    \\n \\r \\t \\\\ \\xHH; or the word bytes: each id is a byte\n"
    "  --dtype D         f32, f16 or bf16: what the file must hold; bf16 reads a uint16 .npy\n"
    "  --tensor NAME     which tensor of a .safetensors file\n"
    "  --temperature T   divide the logits by T first\n"
    "  --softcap C       apply C*tanh(x/C) to the logits first (before the temperature)\n"
    "  --color WHEN      auto (default: on a terminal, unless NO_COLOR is set), always or never\n"
    "  --time            say how long it took, scoring and in all, also when not on a terminal\n"
    "  -h, --help        this text\n"
    "\n"
    "Exit codes: 0 done; 1 done, but some rows have no result (NaN, +inf or no mass at all);\n"
    "2 bad arguments or input.\n";

typedef struct request {
    const char *logits, *tokens, *vocabulary;
    matrix_options matrix;
    bool shift;
    size_t top;
    float inv_temperature, softcap;
    format form;
    colour_choice colour;
    bool time;
} request;

enum {
    OPTION_TOKENS = OPTION_FIRST,
    OPTION_SHIFT,
    OPTION_TOP,
    OPTION_FORMAT,
    OPTION_VOCAB,
    OPTION_DTYPE,
    OPTION_TENSOR,
    OPTION_TEMPERATURE,
    OPTION_SOFTCAP,
    OPTION_COLOUR,
    OPTION_TIME
};

static const struct option options[] = {{"tokens", required_argument, NULL, OPTION_TOKENS},
                                        {"shift", no_argument, NULL, OPTION_SHIFT},
                                        {"top", required_argument, NULL, OPTION_TOP},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"vocab", required_argument, NULL, OPTION_VOCAB},
                                        {"dtype", required_argument, NULL, OPTION_DTYPE},
                                        {"tensor", required_argument, NULL, OPTION_TENSOR},
                                        {"temperature", required_argument, NULL, OPTION_TEMPERATURE},
                                        {"softcap", required_argument, NULL, OPTION_SOFTCAP},
                                        {"color", required_argument, NULL, OPTION_COLOUR},
                                        {"time", no_argument, NULL, OPTION_TIME},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

static void take_option(request *r, int option, const char *value)
{
    switch (option) {
    case OPTION_TOKENS:
        r->tokens = value;
        break;
    case OPTION_SHIFT:
        r->shift = true;
        break;
    case OPTION_TOP:
        r->top = parse_count("--top", value, INT32_MAX);
        break;
    case OPTION_FORMAT:
        r->form = parse_format(value);
        break;
    case OPTION_VOCAB:
        r->vocabulary = value;
        break;
    case OPTION_DTYPE:
        r->matrix.has_dtype = true;
        r->matrix.dtype = parse_dtype("--dtype", value);
        break;
    case OPTION_TENSOR:
        r->matrix.tensor = value;
        break;
    case OPTION_TEMPERATURE:
        r->inv_temperature = parse_inverse("--temperature", value);
        break;
    case OPTION_SOFTCAP:
        r->softcap = parse_positive("--softcap", value);
        break;
    case OPTION_COLOUR:
        r->colour = parse_colour(value);
        break;
    default:
        r->time = true;
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
            die_option("score", argv, c);
        take_option(r, c, optarg);
    }
    r->logits = *parse_operands("score", argc, argv, 1, "one, the LOGITS");
    if (!r->tokens)
        die("score: no --tokens; expected the .npy file of token ids (see logprob score --help)");
    return true;
}

static void allocate(scoring *s, size_t chunk)
{
    s->logprob = need(s->rows, sizeof *s->logprob);
    s->entropy = need(s->rows, sizeof *s->entropy);
    s->rank = need(s->rows, sizeof *s->rank);
    s->status = need(s->rows, sizeof *s->status);
    if (chunk > s->rows)
        chunk = s->rows;
    if (s->k && chunk > SIZE_MAX / s->k)
        die("--top: out of memory for %zu tokens of each row", s->k);
    s->top_logprob = need(chunk * s->k, sizeof *s->top_logprob);
    s->top_token = need(chunk * s->k, sizeof *s->top_token);
}

static void release(scoring *s)
{
    vocab_close(&s->words);
    free(s->logprob);
    free(s->entropy);
    free(s->rank);
    free(s->status);
    free(s->top_logprob);
    free(s->top_token);
}

static void score_chunk(scoring *s, const request *r, const matrix *logits, size_t first, size_t rows)
{
    lp_logits in = {.data = logits->data + first * logits->vocab * dtype_size(logits->dtype),
                    .rows = rows,
                    .vocab = logits->vocab,
                    .dtype = logits->dtype,
                    .inv_temperature = r->inv_temperature,
                    .softcap = r->softcap};
    lp_scores out = {.entropy = s->entropy + first,
                     .token_logprob = s->logprob + first,
                     .token_rank = s->rank + first,
                     .top_logprob = s->top_logprob,
                     .top_token = s->top_token,
                     .status = s->status + first};
    const double start = seconds_now();
    lp_status status = lp_score(&in, s->token + first, s->k, &out);
    s->scoring_seconds += seconds_now() - start;
    if (!is_row_result(status))
        die("%s: %s logits cannot be scored: %s", r->logits, dtype_name(logits->dtype), lp_status_string(status));
    for (size_t i = 0; i < rows; i++) {
        bool failed = s->status[first + i] != LP_OK;
        s->failed_rows += failed;
        s->greedy_rows += !failed && s->top_token[i * s->k] == s->token[first + i];
        s->entropy_sum += failed ? 0 : (double)s->entropy[first + i];
    }
}

static void summarize(scoring *s)
{
    const size_t offset[2] = {0, s->rows};
    lp_status status = lp_sequence_sum(s->logprob, NULL, offset, 1, &s->sequence);
    if (!is_row_result(status))
        die("the sequence cannot be summed: %s", lp_status_string(status));
}

static void score_all(scoring *s, const request *r, const matrix *logits)
{
    size_t chunk = chunk_rows(logits);
    double start = seconds_now();
    allocate(s, chunk);
    progress_start("scoring", s->rows, logits->vocab * dtype_size(logits->dtype));
    for (size_t first = 0; first < s->rows || first == 0; first += chunk) {
        size_t rows = s->rows - first < chunk ? s->rows - first : chunk;
        score_chunk(s, r, logits, first, rows);
        if (first == 0)
            scoring_begin(s);
        scoring_chunk(s, first, rows);
        if (isatty(STDOUT_FILENO)) {
            progress_clear();
            fflush(stdout);
        }
        progress_update(first + rows);
    }
    progress_clear();
    summarize(s);
    s->seconds = seconds_now() - start;
    scoring_end(s);
}

static void open_inputs(const request *r, matrix *logits, int32_t **tokens, scoring *s)
{
    fault why;
    if (matrix_open(r->logits, &r->matrix, logits, &why) ||
        tokens_read(r->tokens, logits->rows, logits->vocab, tokens, &why) ||
        vocab_open(r->vocabulary, logits->vocab, &s->words, &why))
        die("%s", why.text);
    bool shifted = r->shift && logits->rows > 0;
    s->rows = logits->rows - shifted;
    s->columns = logits->vocab;
    s->token = *tokens + shifted;
    s->unscored = shifted ? *tokens : NULL;
}

int score_main(int argc, char **argv)
{
    request r;
    if (!parse_request(argc, argv, &r))
        return EXIT_FINE;
    matrix logits;
    int32_t *tokens;
    scoring s = {.form = r.form, .colour = r.form == FORMAT_TABLE && colour_wanted(r.colour)};
    open_inputs(&r, &logits, &tokens, &s);
    s.top = r.top < logits.vocab ? r.top : logits.vocab;
    s.k = s.top ? s.top : 1;
    s.show_time = r.time || isatty(STDOUT_FILENO);
    score_all(&s, &r, &logits);
    bool failed = s.failed_rows > 0;
    if (failed)
        complain("%s: %zu of %zu rows have no result (NaN, +inf or no mass at all)", r.logits, s.failed_rows, s.rows);
    release(&s);
    free(tokens);
    matrix_close(&logits);
    return failed ? EXIT_FINDINGS : EXIT_FINE;
}
