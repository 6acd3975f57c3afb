/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What went wrong, as one line of text: readers fill a fault, commands print it and end with exit code 2. */
#ifndef LOGPROB_TOOLS_FAULT_H
#define LOGPROB_TOOLS_FAULT_H
#include <stddef.h>

typedef struct fault {
    char text[1024];
} fault;

/* Fills `why`; always returns -1, so that a reader can `return fault_set(...)`. */
int fault_set(fault *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* One line on stderr, control characters of hostile names replaced. */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* complain(), then exit code 2. Only called while nothing has been printed on stdout, or when printing failed. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* malloc(count * size) that never returns NULL (0 bytes included): out of memory is one line and exit code 2. */
void *need(size_t count, size_t size);

/* Ends stdout: a full disk or a closed pipe is an error, not silence. */
void finish_output(void);

#endif
