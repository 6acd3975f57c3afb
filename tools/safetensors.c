/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Reading .safetensors. Format: https://github.com/huggingface/safetensors#format */
#include "safetensors.h"
#include "jsonin.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MAX_HEADER = 100000000 }; /* the format's own limit */
enum { MAX_DIMS = 32 };

/* One entry of the header. */
typedef struct tensor {
    const char *name, *dtype;
    size_t dims, shape[MAX_DIMS];
    size_t begin, end; /* in the data */
} tensor;

/* Numbers arrive as doubles: whole, and small enough to be exact. */
static bool get_size(const json_t *value, size_t *out)
{
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= 0 && number <= 9007199254740992.0) || number != (double)(size_t)number)
        return false;
    *out = (size_t)number;
    return true;
}

static int bad_entry(const char *path, const char *name, const char *what, fault *why)
{
    return fault_set(
        why, "%s: tensor \"%.100s\": %s; expected {\"dtype\", \"shape\", \"data_offsets\"} as safetensors has them",
        path, name, what);
}

static int read_entry(const char *path, const char *name, const json_t *entry, size_t data_size, tensor *out,
                      fault *why)
{
    const json_t *shape = json_object_get(entry, "shape"), *offsets = json_object_get(entry, "data_offsets");
    *out = (tensor){.name = name, .dtype = json_string_value(json_object_get(entry, "dtype"))};
    if (!out->dtype)
        return bad_entry(path, name, "it has no dtype", why);
    if (!json_is_array(shape) || json_array_size(shape) > MAX_DIMS)
        return bad_entry(path, name, "it has no shape, or more than 32 dimensions", why);
    out->dims = json_array_size(shape);
    for (size_t i = 0; i < out->dims; i++)
        if (!get_size(json_array_get(shape, i), &out->shape[i]))
            return bad_entry(path, name, "its shape has something that is no size", why);
    if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &out->begin) ||
        !get_size(json_array_get(offsets, 1), &out->end) || out->begin > out->end)
        return bad_entry(path, name, "its data_offsets are not [begin, end]", why);
    if (out->end > data_size)
        return fault_set(why,
                         "%s: truncated: tensor \"%.100s\" ends at byte %zu of the data; expected no more than %zu",
                         path, name, out->end, data_size);
    return 0;
}

/* -1 for what cannot be logits */
static int float_dtype(const char *dtype)
{
    return !strcmp(dtype, "F32") ? LP_F32 : !strcmp(dtype, "F16") ? LP_F16 : !strcmp(dtype, "BF16") ? LP_BF16 : -1;
}

static int take_tensor(const char *path, const tensor *t, matrix *out, fault *why)
{
    size_t bytes;
    int dtype = float_dtype(t->dtype);
    if (dtype < 0)
        return fault_set(why, "%s: tensor \"%.100s\" has dtype %.20s; expected F32, F16 or BF16", path, t->name,
                         t->dtype);
    if (t->dims != 2)
        return fault_set(why, "%s: tensor \"%.100s\" has %zu dimensions; expected 2, rows x vocab", path, t->name,
                         t->dims);
    if (__builtin_mul_overflow(t->shape[0], t->shape[1], &bytes) ||
        __builtin_mul_overflow(bytes, dtype_size(dtype), &bytes) || bytes != t->end - t->begin)
        return fault_set(why, "%s: tensor \"%.100s\" has %zu bytes; expected %zu x %zu elements of %zu bytes", path,
                         t->name, t->end - t->begin, t->shape[0], t->shape[1], dtype_size(dtype));
    out->rows = t->shape[0];
    out->vocab = t->shape[1];
    out->dtype = dtype;
    out->data += t->begin;
    return 0;
}

/* Which tensor is meant; all entries are checked on the way. */
typedef struct choice {
    const char *wanted; /* or NULL: the only candidate */
    tensor chosen;
    size_t candidates, tensors;
    size_t end; /* of the last tensor */
    char names[160];
} choice;

static void consider(choice *c, const tensor *t)
{
    bool candidate = c->wanted ? !strcmp(t->name, c->wanted) : t->dims == 2 && float_dtype(t->dtype) >= 0;
    size_t used = strlen(c->names);
    if (used < 100)
        snprintf(c->names + used, sizeof c->names - used, "%s%.40s", c->tensors ? ", " : "", t->name);
    else if (used + 5 < sizeof c->names && c->names[used - 1] != '.')
        memcpy(c->names + used, ", ...", 6);
    c->tensors++;
    if (t->end > c->end)
        c->end = t->end;
    if (candidate) {
        c->chosen = *t;
        c->candidates++;
    }
}

static int choose(const char *path, const json_t *header, size_t data_size, choice *c, fault *why)
{
    const char *name;
    json_t *entry;
    tensor t;
    json_object_foreach((json_t *)(uintptr_t)header, name, entry)
    {
        if (!strcmp(name, "__metadata__"))
            continue;
        if (read_entry(path, name, entry, data_size, &t, why))
            return -1;
        consider(c, &t);
    }
    if (c->candidates == 0 && c->wanted)
        return fault_set(why, "%s: no tensor \"%.100s\"; expected one of: %s", path, c->wanted, c->names);
    if (c->candidates != 1)
        return fault_set(why,
                         "%s: %zu tensors of type F32, F16 or BF16 with 2 dimensions; expected one, or --tensor NAME "
                         "(the file has: %s)",
                         path, c->candidates, c->names);
    if (c->end != data_size)
        return fault_set(why, "%s: %zu bytes of data; expected %zu, where the last tensor ends", path, data_size,
                         c->end);
    return 0;
}

static int header_length(const char *path, mapped file, size_t *length, fault *why)
{
    uint64_t stated = 0;
    for (size_t i = 0; i < 8 && file.size >= 8; i++)
        stated |= (uint64_t)file.data[i] << (8 * i);
    if (file.size < 8 || stated > file.size - 8)
        return fault_set(why,
                         "%s: truncated, or not a .safetensors file: %zu bytes; expected 8 and a header of %llu bytes",
                         path, file.size, (unsigned long long)stated);
    if (stated > MAX_HEADER)
        return fault_set(why, "%s: a header of %llu bytes; expected at most %d", path, (unsigned long long)stated,
                         MAX_HEADER);
    *length = (size_t)stated;
    return 0;
}

int safetensors_find(const char *path, const char *name, matrix *out, fault *why)
{
    size_t length = 0;
    if (header_length(path, out->file, &length, why))
        return -1;
    json_t *header = json_from_memory(path, (const char *)out->file.data + 8, length, why);
    if (!header)
        return -1;
    choice c = {.wanted = name};
    out->data = out->file.data + 8 + length;
    int result = json_is_object(header)
                     ? choose(path, header, out->file.size - 8 - length, &c, why)
                     : fault_set(why, "%s: its header is a list; expected an object of tensors", path);
    if (!result)
        result = take_tensor(path, &c.chosen, out, why);
    json_decref(header);
    return result;
}
