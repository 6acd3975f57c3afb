/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Token text for people: hostile or broken bytes never reach a terminal as they are. */
#ifndef LOGPROB_TOOLS_TEXT_H
#define LOGPROB_TOOLS_TEXT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct text {
    const char *bytes; /* NULL: not known */
    size_t length;
} text;

/* Length of the UTF-8 character at s, 0 if it is none; *code is its code point. */
size_t utf8_next(const char *s, size_t n, uint32_t *code);
bool utf8_valid(text t);

/* One line whatever the text is: \n \t \r \\ and \xHH (each byte) for control, bidirectional and broken characters. */
void print_escaped(FILE *out, text t);
/* The same between double quotes, which are escaped too. */
void print_quoted(FILE *out, text t);
/* The same as one CSV field, quoted when it must be. */
void print_csv(FILE *out, text t);

/* Running text in which every byte has a surprise level: coloured, newlines kept, characters that several tokens
 * share assembled and coloured by the worst of them. */
typedef struct painter {
    FILE *out;
    char pending[4];
    size_t length;
    int level; /* of the pending bytes */
    int shown; /* the colour that is switched on */
} painter;
void paint(painter *p, text t, int level);
void paint_end(painter *p);

#endif
