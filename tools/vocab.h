/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* From token ids to text: nothing, the byte itself, or a file with one token a line. */
#ifndef LOGPROB_TOOLS_VOCAB_H
#define LOGPROB_TOOLS_VOCAB_H
#include "fault.h"
#include "text.h"

typedef struct vocab {
    bool known;
    size_t size; /* tokens that have text */
    text *tokens;
    char *storage;
} vocab;

/* `name` is a path, "bytes", or NULL (ids stay ids). `columns` is the vocabulary of the logits: the file may name fewer
 * tokens (padded models), never more. */
int vocab_open(const char *name, size_t columns, vocab *out, fault *why);
void vocab_close(vocab *v);

/* bytes == NULL where the id has no text. */
text vocab_text(const vocab *v, int32_t id);

#endif
