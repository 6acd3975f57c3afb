/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* JSON from strangers, through jansson: bounded in memory (here) and depth (by jansson), and strict. */
#ifndef LOGPROB_TOOLS_JSONIN_H
#define LOGPROB_TOOLS_JSONIN_H
#include "fault.h"

#include <jansson.h>
#include <stdio.h>

/* From here on all of jansson's memory together stays below `bytes`: what needs more is refused like broken JSON. */
void json_limit_memory(size_t bytes);

/* One document from memory; NULL with a fault that names `path`. */
json_t *json_from_memory(const char *path, const char *data, size_t size, fault *why);

/* Documents one after the other, separated by white space or nothing (JSON lines are that). */
typedef struct json_reader {
    const char *path;
    FILE *file;
    size_t start; /* the line on which the last document started */
    size_t line;  /* of the next byte */
    size_t bytes; /* read so far */
    char *buffer;
    size_t at, filled;
} json_reader;

void json_reader_start(json_reader *r, const char *path, FILE *file);
/* 1: *out is the next document; 0: the end; -1: a fault. */
int json_reader_next(json_reader *r, json_t **out, fault *why);
void json_reader_end(json_reader *r);

#endif
