/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Logits and token ids out of files. */
#include "matrix.h"
#include "npy.h"
#include "safetensors.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the files are little-endian and are mapped as they are"
#endif

size_t dtype_size(lp_dtype dtype)
{
    return dtype == LP_F32 ? 4 : 2;
}

const char *dtype_name(lp_dtype dtype)
{
    return dtype == LP_F32 ? "f32" : dtype == LP_F16 ? "f16" : "bf16";
}

size_t chunk_rows(const matrix *logits)
{
    size_t rows = ((size_t)4 << 20) / (logits->vocab * dtype_size(logits->dtype));
    return rows ? rows : 1;
}

bool is_row_result(lp_status status)
{
    return status == LP_OK || (status >= LP_ERR_TOKEN && status <= LP_ERR_EMPTY);
}

/* NumPy has no bf16: it is stored as uint16, or as two opaque bytes by the ml_dtypes package. */
static bool holds_bf16(const char *descr)
{
    return !strcmp(descr, "<u2") || !strcmp(descr, "<V2") || !strcmp(descr, "|V2");
}

static int choose_dtype(const npy *array, const matrix_options *options, lp_dtype *out, fault *why)
{
    const char *descr = array->descr;
    if (!strcmp(descr, "<f4"))
        *out = LP_F32;
    else if (!strcmp(descr, "<f2"))
        *out = LP_F16;
    else if (holds_bf16(descr) && options->has_dtype && options->dtype == LP_BF16)
        *out = LP_BF16;
    else if (holds_bf16(descr))
        return fault_set(why, "%s: dtype '%s'; expected '<f4' or '<f2' (if it holds bf16, say --dtype bf16)",
                         array->path, descr);
    else
        return fault_set(why, "%s: dtype '%s'; expected '<f4' (float32), '<f2' (float16) or '<u2' with --dtype bf16",
                         array->path, descr);
    if (options->has_dtype && options->dtype != *out)
        return fault_set(why, "%s: dtype '%s' is %s; expected %s, as --dtype says", array->path, descr,
                         dtype_name(*out), dtype_name(options->dtype));
    return 0;
}

static int check_vocab(const char *path, const matrix *m, fault *why)
{
    if (m->vocab == 0 || m->vocab > INT32_MAX)
        return fault_set(why, "%s: %zu columns; expected a vocabulary of 1 to %d", path, m->vocab, INT32_MAX);
    return 0;
}

static int from_npy(const char *path, const npy *array, const matrix_options *options, matrix *out, fault *why)
{
    char shape[128];
    if (options->tensor)
        return fault_set(why, "%s: is a .npy file, which has no names; expected --tensor with .safetensors only", path);
    if (choose_dtype(array, options, &out->dtype, why))
        return -1;
    if (array->dims != 2)
        return fault_set(why, "%s: shape %s; expected logits as 2 dimensions, rows x vocab", path,
                         npy_shape(array, shape, sizeof shape));
    if (npy_check_size(array, dtype_size(out->dtype), why))
        return -1;
    out->rows = array->shape[0];
    out->vocab = array->shape[1];
    out->data = array->file.data + array->offset;
    return check_vocab(path, out, why);
}

static int from_safetensors(const char *path, const matrix_options *options, matrix *out, fault *why)
{
    if (safetensors_find(path, options->tensor, out, why))
        return -1;
    if (options->has_dtype && options->dtype != out->dtype)
        return fault_set(why, "%s: the tensor is %s; expected %s, as --dtype says", path, dtype_name(out->dtype),
                         dtype_name(options->dtype));
    return check_vocab(path, out, why);
}

/* By its name, but a .npy file is one under any name. */
static bool is_safetensors(const char *path, const mapped *file)
{
    static const char ending[] = ".safetensors";
    size_t length = strlen(path);
    return !npy_is(file) && length >= sizeof ending - 1 && !strcmp(path + length - (sizeof ending - 1), ending);
}

int matrix_open(const char *path, const matrix_options *options, matrix *out, fault *why)
{
    npy array;
    *out = (matrix){0};
    if (mapped_open(path, &out->file, why))
        return -1;
    int result;
    if (is_safetensors(path, &out->file))
        result = from_safetensors(path, options, out, why);
    else if (!(result = npy_parse(path, out->file, &array, why)))
        result = from_npy(path, &array, options, out, why);
    if (result)
        matrix_close(out);
    return result;
}

void matrix_close(matrix *logits)
{
    mapped_close(&logits->file);
    *logits = (matrix){0};
}

/* One integer of `size` bytes, little-endian; uint64 above INT64_MAX turns negative, and is out of range either way. */
static int64_t load_integer(const unsigned char *at, size_t size, bool is_signed)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)at[i] << (8 * i);
    if (is_signed && size < 8 && bits >> (8 * size - 1))
        bits |= ~(uint64_t)0 << (8 * size);
    return (int64_t)bits;
}

static size_t integer_size(const char *descr)
{
    static const char *const known[] = {"<i4", "<i8", "<i2", "|i1", "<u4", "<u8", "<u2", "|u1"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(descr, known[i]))
            return (size_t)(descr[2] - '0');
    return 0;
}

static int copy_tokens(const npy *array, size_t size, size_t vocab, int32_t *out, fault *why)
{
    const unsigned char *data = array->file.data + array->offset;
    bool is_signed = array->descr[1] == 'i';
    for (size_t i = 0; i < array->shape[0]; i++) {
        int64_t id = load_integer(data + i * size, size, is_signed);
        if (id < 0 || (uint64_t)id >= vocab)
            return fault_set(why,
                             "%s: token %" PRId64 " at position %zu; expected ids from 0 to %zu, the logits' columns",
                             array->path, id, i, vocab - 1);
        out[i] = (int32_t)id;
    }
    return 0;
}

static int tokens_from_npy(const npy *array, size_t count, size_t vocab, int32_t **out, fault *why)
{
    char shape[128];
    size_t size = integer_size(array->descr);
    npy_shape(array, shape, sizeof shape);
    if (!size)
        return fault_set(why, "%s: dtype '%s'; expected integers ('<i4', '<i8', ...)", array->path, array->descr);
    if (array->dims != 1 || array->shape[0] != count)
        return fault_set(why, "%s: shape %s; expected %zu token ids, one for each row of the logits", array->path,
                         shape, count);
    if (npy_check_size(array, size, why))
        return -1;
    *out = need(count, sizeof **out);
    if (!copy_tokens(array, size, vocab, *out, why))
        return 0;
    free(*out);
    *out = NULL;
    return -1;
}

int tokens_read(const char *path, size_t count, size_t vocab, int32_t **out, fault *why)
{
    npy array;
    if (npy_open(path, &array, why))
        return -1;
    int result = tokens_from_npy(&array, count, vocab, out, why);
    npy_close(&array);
    return result;
}
