/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Fuzz target: the readers of the command. Each input is a whole file, and each reader gets it: .npy, .safetensors, a
 * vocabulary, and JSON responses, of which everything that was understood is printed. */
#include "input.h"
#include "jsonin.h"
#include "labels.h"
#include "matrix.h"
#include "npy.h"
#include "response.h"
#include "safetensors.h"
#include "vocab.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MEMORY = 64 << 20 };
static FILE *nowhere;

static void expect_fault(int result, const fault *why, const char *where)
{
    expect(result == 0 || (result == -1 && why->text[0] != 0 && strlen(why->text) < sizeof why->text),
           "a refusal says why", where);
}

/* Every byte that a reader hands out is read: the sanitizer knows where the file ends. */
static void read_all(const unsigned char *bytes, size_t size)
{
    unsigned char all = 0;
    for (size_t i = 0; i < size; i++) {
        all ^= bytes[i];
    }
    fputc(all, nowhere);
}

static void read_npy(mapped file)
{
    fault why = {{0}};
    npy array;
    char shape[128], narrow[5];
    const int result = npy_parse("in.npy", file, &array, &why);
    expect_fault(result, &why, "npy_parse");
    if (result) {
        return;
    }
    npy_shape(&array, shape, sizeof shape);
    npy_shape(&array, narrow, sizeof narrow);
    for (size_t size = 1; size <= 8; size *= 2) {
        if (npy_check_size(&array, size, &why) == 0) {
            read_all(file.data + array.offset, file.size - array.offset);
        }
    }
}

static void read_safetensors(mapped file)
{
    static const char *const names[] = {NULL, "logits"};
    for (size_t i = 0; i < COUNT(names); i++) {
        fault why = {{0}};
        matrix out = {.file = file};
        const int result = safetensors_find("in.safetensors", names[i], &out, &why);
        expect_fault(result, &why, "safetensors_find");
        if (result == 0) {
            read_all(out.data, out.rows * out.vocab * dtype_size(out.dtype));
        }
    }
}

/* What maps its file itself gets one in memory. */
static const char *as_file(const uint8_t *data, size_t size)
{
    static int descriptor = -1;
    static char path[64];
    if (descriptor < 0) {
        descriptor = memfd_create("input", 0);
        snprintf(path, sizeof path, "/proc/self/fd/%d", descriptor);
    }
    const bool written = ftruncate(descriptor, 0) == 0 && pwrite(descriptor, data, size, 0) == (ssize_t)size;
    expect(written, "a file in memory", "memfd");
    return path;
}

static void read_mapped(const uint8_t *data, size_t size)
{
    const char *path = as_file(data, size);
    const matrix_options bf16 = {.has_dtype = true, .dtype = LP_BF16}, any = {0};
    for (int i = 0; i < 2; i++) {
        fault why = {{0}};
        matrix logits;
        const int result = matrix_open(path, i ? &bf16 : &any, &logits, &why);
        expect_fault(result, &why, "matrix_open");
        if (result == 0) {
            expect(chunk_rows(&logits) > 0, "at least one row at a time", "matrix_open");
            read_all(logits.data, logits.rows * logits.vocab * dtype_size(logits.dtype));
            matrix_close(&logits);
        }
    }
    const size_t counts[] = {size / 8, 3};
    for (size_t i = 0; i < COUNT(counts); i++) {
        fault why = {{0}};
        int32_t *token = NULL;
        const int result = tokens_read(path, counts[i], 1000, &token, &why);
        expect_fault(result, &why, "tokens_read");
        for (size_t t = 0; result == 0 && t < counts[i]; t++) {
            expect(token[t] >= 0 && token[t] < 1000, "ids below the vocabulary", "tokens_read");
        }
        free(token);
    }
    fault why = {{0}};
    vocab words;
    if (vocab_open(path, 100, &words, &why) == 0) {
        for (int32_t id = -1; id < 101; id++) {
            const text t = vocab_text(&words, id);
            if (t.bytes) {
                print_csv(nowhere, t);
            }
        }
        vocab_close(&words);
    }
}

static void print_sequence(const sequence *s, const labels *l)
{
    painter colours = {.out = nowhere};
    for (size_t i = 0; i < s->count; i++) {
        const position *at = &s->positions[i];
        expect(at->first + at->count <= s->alternatives_count, "alternatives that are there", "response_parse");
        expect(!(at->logprob > 0) && at->rank >= 0, "no probability above 1", "response_parse");
        paint(&colours, at->bytes, (int)(i % 4));
        print_quoted(nowhere, at->token);
        for (size_t a = 0; a < at->count; a++) {
            expect(s->alternatives[at->first + a].logprob <= 0, "no probability above 1", "response_parse");
            print_escaped(nowhere, s->alternatives[at->first + a].token);
        }
    }
    paint_end(&colours);
    fault why = {{0}};
    label_result result = {0};
    const int failed = labels_read(l, s, "in.json", &result, &why);
    expect_fault(failed, &why, "labels_read");
    if (!failed) {
        label_result_free(&result);
    }
}

static void read_response(const json_t *document, bool prompt)
{
    char spec[] = "yes|Yes,no|No\\,", other[] = "a";
    labels some[] = {{.spec = spec, .normalized = NORMALIZE_LABELS, .complement = true},
                     {.spec = other, .position = -1, .sampled = true},
                     {.spec = other, .exact = true, .normalized = NORMALIZE_TOP}};
    fault why = {{0}};
    response found;
    const int result = response_parse(document, "in.json", prompt, &found, &why);
    expect_fault(result, &why, "response_parse");
    for (size_t l = 0; l < COUNT(some) && result == 0; l++) {
        expect(labels_parse(&some[l], &why) == 0, "labels", "labels_parse");
        for (size_t i = 0; i < found.count; i++) {
            print_sequence(&found.sequences[i], &some[l]);
        }
        labels_free(&some[l]);
    }
    if (result == 0) {
        response_free(&found);
    }
}

static void read_json(const uint8_t *data, size_t size)
{
    FILE *file = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "rb") : NULL;
    if (file == NULL) {
        return;
    }
    fault why = {{0}};
    json_reader reader;
    json_t *document;
    int more;
    json_reader_start(&reader, "in.json", file);
    while ((more = json_reader_next(&reader, &document, &why)) > 0) {
        read_response(document, false);
        read_response(document, true);
        json_decref(document);
    }
    expect_fault(more, &why, "json_reader_next");
    json_reader_end(&reader);
    fclose(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (nowhere == NULL) {
        nowhere = fopen("/dev/null", "wb");
        expect(nowhere != NULL, "/dev/null", "fopen");
        json_object_seed(1);
        json_limit_memory(MEMORY);
    }
    const mapped file = {size > 0 ? data : NULL, size};
    read_npy(file);
    read_safetensors(file);
    read_mapped(data, size);
    read_json(data, size);
    return 0;
}
