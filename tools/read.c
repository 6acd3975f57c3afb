/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* `logprob read`: arguments, documents, and the math of each choice. */
#include "command.h"
#include "jsonin.h"
#include "reading.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "Usage: logprob read [OPTIONS] [RESPONSE.json ...]\n"
    "\n"
    "Reads responses of LLM APIs, JSON or JSON lines, from files or standard input, and prints for\n"
    "each choice its mean log-probability, perplexity, least likely tokens and bounds of its entropy.\n"
    "Shapes: OpenAI chat (choices[].logprobs.content[]), legacy completions and Together (tokens,\n"
    "token_logprobs, top_logprobs), vLLM's maps (logprob, rank, decoded_token; prompt_logprobs too),\n"
    "OpenAI batch output, and what logprob score --format json prints. A logprob of null is missing,\n"
    "-9999.0 (or less) is too unlikely to be listed: neither enters sums.\n"
    "\n"
    "  --threshold T     flag tokens less likely than T: a probability (0.5) or, if it is 0 or less,\n"
    "                    a logprob (-2.3); exit code 1 if there are any, -9999.0 included\n"
    "  --labels LIST     probabilities of answers: labels between commas, their spellings between\n"
    "                    bars, as in \"yes|Yes|YES,no|No|NO\"; white space around tokens does not count\n"
    "  --position N      the token that holds the answer, 0 the first (default), -1 the last\n"
    "  --normalize[=BY]  divide by the mass of the labels (default) or, =top, of all listed tokens\n"
    "  --complement      of two labels, one that is not listed gets what the other leaves\n"
    "  --sampled         look at the sampled token only, not at its alternatives\n"
    "  --exact           white space counts\n"
    "  --prompt          the prompt's tokens (vLLM's prompt_logprobs) instead of the answer's\n"
    "  --vocab-size V    vocabulary of the model, for the upper entropy bound (default 262144)\n"
    "  --format F        table (default), json or csv\n"
    "  --color WHEN      auto (default: on a terminal, unless NO_COLOR is set), always or never\n"
    "  --memory MIB      refuse a document that needs more memory (default 1024)\n"
    "  -h, --help        this text\n"
    "\n"
    "Exit codes: 0 done; 1 done, and something is below the threshold; 2 bad arguments or input.\n";

enum {
    OPTION_THRESHOLD = OPTION_FIRST,
    OPTION_LABELS,
    OPTION_POSITION,
    OPTION_NORMALIZE,
    OPTION_COMPLEMENT,
    OPTION_SAMPLED,
    OPTION_EXACT,
    OPTION_PROMPT,
    OPTION_VOCAB_SIZE,
    OPTION_FORMAT,
    OPTION_COLOUR,
    OPTION_MEMORY
};

static const struct option options[] = {{"threshold", required_argument, NULL, OPTION_THRESHOLD},
                                        {"labels", required_argument, NULL, OPTION_LABELS},
                                        {"position", required_argument, NULL, OPTION_POSITION},
                                        {"normalize", optional_argument, NULL, OPTION_NORMALIZE},
                                        {"complement", no_argument, NULL, OPTION_COMPLEMENT},
                                        {"sampled", no_argument, NULL, OPTION_SAMPLED},
                                        {"exact", no_argument, NULL, OPTION_EXACT},
                                        {"prompt", no_argument, NULL, OPTION_PROMPT},
                                        {"vocab-size", required_argument, NULL, OPTION_VOCAB_SIZE},
                                        {"format", required_argument, NULL, OPTION_FORMAT},
                                        {"color", required_argument, NULL, OPTION_COLOUR},
                                        {"memory", required_argument, NULL, OPTION_MEMORY},
                                        {"help", no_argument, NULL, 'h'},
                                        {0}};

static float parse_threshold(const char *value)
{
    double threshold = parse_number("--threshold", value);
    if (threshold > 1)
        die("--threshold: \"%s\"; expected a probability of at most 1, or a logprob of at most 0", value);
    return (float)(threshold > 0 ? log(threshold) : threshold);
}

static int64_t parse_position(const char *value)
{
    bool negative = *value == '-';
    int64_t index = (int64_t)parse_count("--position", value + negative, INT32_MAX);
    return negative ? -index : index;
}

static normalize parse_normalize(const char *value)
{
    if (!value || !strcmp(value, "labels"))
        return NORMALIZE_LABELS;
    if (strcmp(value, "top"))
        die("--normalize: \"%s\"; expected labels or top", value);
    return NORMALIZE_TOP;
}

/* The options of --labels; false if `option` is none. */
static bool take_label_option(labels *l, int option, const char *value)
{
    switch (option) {
    case OPTION_LABELS:
        l->spec = value;
        return true;
    case OPTION_POSITION:
        l->position = parse_position(value);
        return true;
    case OPTION_NORMALIZE:
        l->normalized = parse_normalize(value);
        return true;
    case OPTION_COMPLEMENT:
        return l->complement = true;
    case OPTION_SAMPLED:
        return l->sampled = true;
    case OPTION_EXACT:
        return l->exact = true;
    default:
        return false;
    }
}

static void take_option(reading_options *o, int option, const char *value)
{
    switch (option) {
    case OPTION_THRESHOLD:
        o->has_threshold = true;
        o->threshold = parse_threshold(value);
        break;
    case OPTION_VOCAB_SIZE:
        o->vocab = parse_count("--vocab-size", value, INT32_MAX);
        if (o->vocab == 0)
            die("--vocab-size: \"%s\"; expected at least 1", value);
        break;
    case OPTION_PROMPT:
        o->prompt = true;
        break;
    case OPTION_FORMAT:
        o->form = parse_format(value);
        break;
    case OPTION_MEMORY:
        json_limit_memory(parse_count("--memory", value, SIZE_MAX >> 20) << 20);
        break;
    default:
        break;
    }
}

/* false: --help was printed. */
static bool parse_options(int argc, char **argv, reading_options *o)
{
    colour_choice colour = COLOUR_AUTO;
    bool label_options = false;
    fault why;
    *o = (reading_options){.vocab = 262144};
    for (int c; (c = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
        if (c == 'h') {
            fputs(help, stdout);
            return false;
        }
        if (c == '?' || c == ':')
            die_option("read", argv, c);
        if (c == OPTION_COLOUR)
            colour = parse_colour(optarg);
        else if (take_label_option(&o->labels, c, optarg))
            label_options = true;
        else
            take_option(o, c, optarg);
    }
    o->colour = o->form == FORMAT_TABLE && colour_wanted(colour);
    if (label_options && !o->labels.spec)
        die("read: an option about labels without --labels; expected --labels \"yes|Yes,no|No\" or the like");
    if (o->labels.spec && labels_parse(&o->labels, &why))
        die("%s", why.text);
    return true;
}

/* ---- the math of one choice ---- */

static void add_sums(reading *r)
{
    const sequence *s = r->from;
    float *logprob = need(s->count, sizeof *logprob);
    uint8_t *keep = need(s->count, sizeof *keep);
    for (size_t i = 0; i < s->count; i++) {
        logprob[i] = s->positions[i].logprob;
        keep[i] = isfinite(logprob[i]) != 0;
        r->missing += isnan(logprob[i]) != 0;
        r->unlikely += isinf(logprob[i]) != 0;
    }
    const size_t offset[2] = {0, s->count};
    lp_status status = lp_sequence_sum(logprob, keep, offset, 1, &r->sums);
    if (status != LP_OK)
        die("%s: choice %zu cannot be summed: %s", r->file, s->choice, lp_status_string(status));
    free(logprob);
    free(keep);
}

/* The few least likely positions, in order; the earlier one on ties. */
static void add_least_likely(reading *r)
{
    const position *p = r->from->positions;
    for (size_t i = 0; i < r->from->count; i++) {
        if (isnan(p[i].logprob))
            continue;
        size_t at = r->least_count;
        while (at > 0 && p[i].logprob < p[r->least[at - 1]].logprob)
            at--;
        if (at == LEAST_LIKELY)
            continue;
        r->least_count += r->least_count < LEAST_LIKELY;
        memmove(r->least + at + 1, r->least + at, (r->least_count - at - 1) * sizeof *r->least);
        r->least[at] = i;
    }
}

/* The most likely tokens of a position. Servers add the sampled token to (or put it first in) a list that it may not
 * belong to: where it is the smallest, it is left out, which keeps the bounds true at the cost of some sharpness. */
static size_t most_likely(const sequence *s, const position *at, float out[])
{
    size_t count = 0, sampled = SIZE_MAX, smallest = 0;
    for (size_t i = 0; i < at->count; i++) {
        const alternative *a = &s->alternatives[at->first + i];
        if (isinf(a->logprob))
            continue;
        if (sampled == SIZE_MAX && a->logprob == at->logprob && a->token.length == at->token.length &&
            !memcmp(a->token.bytes, at->token.bytes, a->token.length))
            sampled = count;
        out[count++] = a->logprob;
        if (out[count - 1] < out[smallest])
            smallest = count - 1;
    }
    bool doubtful = sampled != SIZE_MAX && out[sampled] == out[smallest] && (count > 1 || at->rank > 1);
    if (doubtful)
        out[sampled] = out[--count];
    return count;
}

static void add_entropy(reading *r, size_t vocab)
{
    const sequence *s = r->from;
    float *logprob = need(s->alternatives_count, sizeof *logprob);
    for (size_t i = 0; i < s->count; i++) {
        double lower, upper;
        size_t count = most_likely(s, &s->positions[i], logprob);
        if (count == 0 || lp_partial_entropy(logprob, count, vocab, &lower, &upper) != LP_OK)
            continue;
        r->bounded++;
        r->entropy_lower += lower;
        r->entropy_upper += upper;
    }
    free(logprob);
    r->entropy_lower /= (double)r->bounded;
    r->entropy_upper /= (double)r->bounded;
}

static void add_spans(reading *r, float threshold)
{
    const position *p = r->from->positions;
    r->spans = need(r->from->count / 2 + 1, sizeof *r->spans);
    for (size_t i = 0; i < r->from->count; i++) {
        if (!(p[i].logprob < threshold))
            continue;
        span *last = r->spans_count ? &r->spans[r->spans_count - 1] : NULL;
        if (!last || last->last + 1 != i) {
            last = &r->spans[r->spans_count++];
            *last = (span){i, i, p[i].logprob};
        }
        last->last = i;
        last->min = p[i].logprob < last->min ? p[i].logprob : last->min;
    }
}

/* ---- documents ---- */

typedef struct run {
    reading_options options;
    FILE *out;
    size_t printed;
    bool any_span;
} run;

static void read_sequence(run *all, const char *path, size_t line, const char *where, const sequence *s)
{
    fault why;
    reading r = {.file = path, .line = line, .from = s};
    add_sums(&r);
    add_least_likely(&r);
    add_entropy(&r, all->options.vocab);
    if (all->options.has_threshold)
        add_spans(&r, all->options.threshold);
    if (all->options.labels.spec && labels_read(&all->options.labels, s, where, &r.labels, &why))
        die("%s", why.text);
    reading_print(all->out, &all->options, &r, all->printed++ == 0);
    all->any_span |= r.spans_count > 0;
    free(r.spans);
    label_result_free(&r.labels);
}

static void read_document(run *all, const json_t *document, const char *path, size_t line)
{
    fault why;
    response found;
    char where[512];
    snprintf(where, sizeof where, line > 1 ? "%.400s: line %zu" : "%.400s", path, line);
    if (response_parse(document, where, all->options.prompt, &found, &why))
        die("%s", why.text);
    for (size_t i = 0; i < found.count; i++)
        read_sequence(all, path, line, where, &found.sequences[i]);
    response_free(&found);
}

static void read_file(run *all, const char *path, FILE *file)
{
    fault why;
    json_reader reader;
    json_t *document;
    int more;
    json_reader_start(&reader, path, file);
    size_t documents = 0;
    while ((more = json_reader_next(&reader, &document, &why)) > 0) {
        read_document(all, document, path, reader.start);
        json_decref(document);
        documents++;
    }
    if (more < 0)
        die("%s", why.text);
    if (documents == 0)
        die("%s: is empty; expected JSON", path);
    json_reader_end(&reader);
}

static void read_path(run *all, const char *path)
{
    if (!strcmp(path, "-")) {
        read_file(all, "standard input", stdin);
        return;
    }
    FILE *file = fopen(path, "rbe");
    if (!file)
        die("%s: cannot be opened: %s", path, strerror(errno));
    read_file(all, path, file);
    fclose(file);
}

int read_main(int argc, char **argv)
{
    run all = {0};
    char *output = NULL;
    size_t length = 0;
    if (!parse_options(argc, argv, &all.options))
        return EXIT_FINE;
    all.out = open_memstream(&output, &length);
    if (!all.out)
        die("out of memory");
    reading_begin(all.out, &all.options);
    if (optind == argc)
        read_path(&all, "-");
    for (int i = optind; i < argc; i++)
        read_path(&all, argv[i]);
    reading_end(all.out, &all.options, all.any_span);
    if (fclose(all.out))
        die("out of memory");
    fwrite(output, 1, length, stdout);
    free(output);
    labels_free(&all.options.labels);
    return all.any_span ? EXIT_FINDINGS : EXIT_FINE;
}
