/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Colours and the progress line. */
#include "terminal.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Basic colours, which every theme keeps readable; the last steps differ by more than hue. */
static const char *const sgr[SURPRISE_LEVELS] = {"", "36", "33", "31", "1;37;41", "7"};

bool colour_wanted(colour_choice choice)
{
    if (choice != COLOUR_AUTO)
        return choice == COLOUR_ALWAYS;
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_colour && *no_colour) && !(term && !strcmp(term, "dumb"));
}

int surprise_level(double logprob)
{
    static const double bounds[] = {-0.69314718055994531, -2.3025850929940457, -4.6051701859880914,
                                    -6.9077552789821371};
    if (logprob != logprob)
        return SURPRISE_LEVELS - 1;
    int level = 0;
    while (level < 4 && logprob < bounds[level])
        level++;
    return level;
}

void colour_start(FILE *out, int level)
{
    if (*sgr[level])
        fprintf(out, "\033[%sm", sgr[level]);
}

void colour_end(FILE *out, int level)
{
    if (*sgr[level])
        fputs("\033[0m", out);
}

void colour_legend(FILE *out)
{
    static const char *const names[] = {"p >= 1/2", ">= 1/10", ">= 1/100", ">= 1/1000", "less"};
    fputs("colours: ", out);
    for (int level = 0; level < 5; level++) {
        fputs(level ? "  " : " ", out);
        colour_start(out, level);
        fputs(names[level], out);
        colour_end(out, level);
    }
    fputc('\n', out);
}

double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static struct {
    bool on, visible;
    const char *verb;
    double start, shown;
    size_t total, row_bytes;
} progress;

void progress_start(const char *verb, size_t total_rows, size_t bytes_per_row)
{
    progress.on = isatty(STDERR_FILENO);
    progress.verb = verb;
    progress.start = progress.shown = seconds_now();
    progress.total = total_rows;
    progress.row_bytes = bytes_per_row;
}

void progress_update(size_t rows_done)
{
    if (!progress.on)
        return;
    double now = seconds_now(), spent = now - progress.start;
    if (spent < 1 || now - progress.shown < 0.1 || rows_done == 0)
        return;
    progress.shown = now;
    progress.visible = true;
    double part = (double)rows_done / (double)progress.total;
    double rate = (double)rows_done * (double)progress.row_bytes / spent;
    fprintf(stderr, "\r\033[K%s: row %zu of %zu, %.0f%%, %.2f GB/s, %.0f s left", progress.verb, rows_done,
            progress.total, 100 * part, rate * 1e-9, spent / part - spent);
    fflush(stderr);
}

void progress_clear(void)
{
    if (!progress.visible)
        return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress.visible = false;
}
