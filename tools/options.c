/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Values of options, checked. */
#include "options.h"
#include "fault.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The index of `text` in `words`, which ends with NULL; dies when it is none of them. */
static int parse_word(const char *option, const char *text, const char *const words[], const char *expected)
{
    for (int i = 0; words[i]; i++)
        if (!strcmp(text, words[i]))
            return i;
    die("%s: \"%s\"; expected %s", option, text, expected);
}

format parse_format(const char *text)
{
    static const char *const words[] = {"table", "json", "csv", NULL};
    return (format)parse_word("--format", text, words, "table, json or csv");
}

colour_choice parse_colour(const char *text)
{
    static const char *const words[] = {"auto", "always", "never", NULL};
    return (colour_choice)parse_word("--color", text, words, "auto, always or never");
}

lp_dtype parse_dtype(const char *option, const char *text)
{
    static const char *const words[] = {"f32", "bf16", "f16", NULL};
    static const lp_dtype dtypes[] = {LP_F32, LP_BF16, LP_F16};
    return dtypes[parse_word(option, text, words, "f32, f16 or bf16")];
}

size_t parse_count(const char *option, const char *text, size_t max)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value > max)
        die("%s: \"%s\"; expected a whole number from 0 to %zu", option, text, max);
    return (size_t)value;
}

double parse_number(const char *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value))
        die("%s: \"%s\"; expected a finite number", option, text);
    return value;
}

float parse_positive(const char *option, const char *text)
{
    float value = (float)parse_number(option, text);
    if (!(value > 0) || isinf(value))
        die("%s: \"%s\"; expected a positive number", option, text);
    return value;
}

float parse_inverse(const char *option, const char *text)
{
    float inverse = 1 / parse_positive(option, text);
    if (inverse == 0 || isinf(inverse))
        die("%s: \"%s\"; expected a number whose inverse is a float", option, text);
    return inverse;
}

_Noreturn void die_option(const char *command, char **argv, int returned)
{
    const char *word = argv[optind - 1];
    if (returned == ':')
        die("%s: %s needs a value (see logprob %s --help)", command, word, command);
    if (optopt > 0 && optopt < OPTION_FIRST)
        die("%s: unknown option -%c (see logprob %s --help)", command, optopt, command);
    if (optopt >= OPTION_FIRST)
        die("%s: %s takes no value (see logprob %s --help)", command, word, command);
    die("%s: unknown or ambiguous option %s (see logprob %s --help)", command, word, command);
}

char **parse_operands(const char *command, int argc, char **argv, int count, const char *names)
{
    if (argc - optind != count)
        die("%s: %d file names; expected %s (see logprob %s --help)", command, argc - optind, names, command);
    return argv + optind;
}
