/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Error lines and the ends that they lead to. */
#include "fault.h"
#include "command.h"
#include "terminal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fault_set(fault *why, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    return -1;
}

static void print_line(const char *format, va_list arguments)
{
    char line[1280];
    vsnprintf(line, sizeof line, format, arguments);
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    progress_clear();
    fprintf(stderr, "logprob: %s\n", line);
}

void complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

_Noreturn void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    exit(EXIT_BAD);
}

void *need(size_t count, size_t size)
{
    if (size && count > (SIZE_MAX - 1) / size)
        die("out of memory: %zu elements of %zu bytes", count, size);
    void *memory = malloc(count * size + 1);
    if (!memory)
        die("out of memory: %zu elements of %zu bytes", count, size);
    return memory;
}

void finish_output(void)
{
    if (fflush(stdout) || ferror(stdout))
        die("cannot write the output: %s", strerror(errno));
}
