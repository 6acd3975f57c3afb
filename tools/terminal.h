/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What only a terminal gets: colours by surprisal, and a progress line. */
#ifndef LOGPROB_TOOLS_TERMINAL_H
#define LOGPROB_TOOLS_TERMINAL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef enum colour_choice { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER } colour_choice;

/* For stdout. COLOUR_AUTO: a terminal that is not TERM=dumb, unless NO_COLOR is set to something. */
bool colour_wanted(colour_choice choice);

/* Levels of surprise, 0 (p >= 1/2) to 4 (p < 1/1000), and 5 for a position without a logprob. */
enum { SURPRISE_LEVELS = 6 };
int surprise_level(double logprob);
void colour_start(FILE *out, int level);
void colour_end(FILE *out, int level);
void colour_legend(FILE *out);

double seconds_now(void);

/* One line on stderr, only where that is a terminal, only for work of over a second. */
void progress_start(const char *verb, size_t total_rows, size_t bytes_per_row);
void progress_update(size_t rows_done);
void progress_clear(void); /* before anything else is written to the terminal, and at the end */

#endif
