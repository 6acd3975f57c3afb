/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The parts of argument parsing that the commands share; getopt_long does the rest. */
#ifndef LOGPROB_TOOLS_OPTIONS_H
#define LOGPROB_TOOLS_OPTIONS_H
#include "matrix.h"
#include "terminal.h"

#include <getopt.h>
#include <stddef.h>

typedef enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_CSV } format;

/* Values of long options start here, clear of characters. */
enum { OPTION_FIRST = 256 };

/* Each dies with one line that names `option` and what it expects. */
format parse_format(const char *text);
colour_choice parse_colour(const char *text);
lp_dtype parse_dtype(const char *option, const char *text);
size_t parse_count(const char *option, const char *text, size_t max);
double parse_number(const char *option, const char *text);
float parse_positive(const char *option, const char *text);
float parse_inverse(const char *option, const char *text); /* 1/x, a positive float */

/* For getopt_long's '?' and ':'. */
_Noreturn void die_option(const char *command, char **argv, int returned);

/* The words after the options: exactly `count` of them, called `names` in the error line. */
char **parse_operands(const char *command, int argc, char **argv, int count, const char *names);

#endif
