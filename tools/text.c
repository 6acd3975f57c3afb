/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* UTF-8, escapes, CSV fields and coloured running text. */
#include "text.h"
#include "terminal.h"

#include <string.h>

static bool is_tail(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* Bytes that a lead byte announces; 0 for what cannot start a character. */
static size_t utf8_length(char lead)
{
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

size_t utf8_next(const char *s, size_t n, uint32_t *code)
{
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = n ? utf8_length(*s) : 0;
    if (length == 0 || length > n)
        return 0;
    uint32_t value = (unsigned char)*s & (length == 1 ? 0x7fu : 0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if (!is_tail(s[i]))
            return 0;
        value = value << 6 | ((unsigned char)s[i] & 0x3f);
    }
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
        return 0;
    *code = value;
    return length;
}

bool utf8_valid(text t)
{
    uint32_t code;
    for (size_t i = 0, length; i < t.length; i += length)
        if (!(length = utf8_next(t.bytes + i, t.length - i, &code)))
            return false;
    return true;
}

/* Characters that move the cursor, change its direction or start an escape sequence. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f || c == 0xfeff;
}

static void print_bytes(FILE *out, const char *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++)
        fprintf(out, "\\x%02x", (unsigned char)bytes[i]);
}

/* The bytes of one unsafe character, or of a broken one. */
static void print_unsafe(FILE *out, const char *bytes, size_t length)
{
    if (*bytes == '\n')
        fputs("\\n", out);
    else if (*bytes == '\t')
        fputs("\\t", out);
    else if (*bytes == '\r')
        fputs("\\r", out);
    else
        print_bytes(out, bytes, length);
}

static void escape_into(FILE *out, text t, const char *also)
{
    for (size_t i = 0; i < t.length;) {
        uint32_t code = 0;
        size_t length = utf8_next(t.bytes + i, t.length - i, &code);
        if (length == 0 || is_unsafe(code)) {
            length += !length;
            print_unsafe(out, t.bytes + i, length);
        } else {
            if (code == '\\' || (code < 0x80 && strchr(also, (int)code)))
                fputc('\\', out);
            fwrite(t.bytes + i, 1, length, out);
        }
        i += length;
    }
}

void print_escaped(FILE *out, text t)
{
    escape_into(out, t, "");
}

void print_quoted(FILE *out, text t)
{
    fputc('"', out);
    escape_into(out, t, "\"");
    fputc('"', out);
}

void print_csv(FILE *out, text t)
{
    bool edge_space = t.length && (t.bytes[0] == ' ' || t.bytes[t.length - 1] == ' ');
    if (!edge_space && !memchr(t.bytes, ',', t.length) && !memchr(t.bytes, '"', t.length)) {
        print_escaped(out, t);
        return;
    }
    fputc('"', out);
    for (size_t start = 0, i = 0; i <= t.length; i++) {
        if (i < t.length && t.bytes[i] != '"')
            continue;
        print_escaped(out, (text){t.bytes + start, i - start});
        fputs(i < t.length ? "\"\"" : "\"", out);
        start = i + 1;
    }
}

static void paint_character(painter *p, const char *bytes, size_t length, uint32_t code, bool valid)
{
    if (p->level != p->shown) {
        colour_end(p->out, p->shown);
        colour_start(p->out, p->level);
        p->shown = p->level;
    }
    if (!valid || (is_unsafe(code) && code != '\t' && code != '\n'))
        print_unsafe(p->out, bytes, length);
    else
        fwrite(bytes, 1, length, p->out);
}

/* The pending bytes cannot become a character. */
static void paint_broken(painter *p)
{
    if (p->length)
        paint_character(p, p->pending, p->length, 0, false);
    p->length = 0;
    p->level = 0;
}

static void paint_byte(painter *p, char byte, int level)
{
    if (p->length && !is_tail(byte))
        paint_broken(p);
    p->pending[p->length++] = byte;
    if (level > p->level)
        p->level = level;
    uint32_t code = 0;
    size_t length = utf8_next(p->pending, p->length, &code);
    if (length) {
        paint_character(p, p->pending, length, code, true);
        p->length = 0;
        p->level = 0;
    } else if (p->length >= utf8_length(p->pending[0])) {
        paint_broken(p);
    }
}

void paint(painter *p, text t, int level)
{
    for (size_t i = 0; i < t.length; i++)
        paint_byte(p, t.bytes[i], level);
}

void paint_end(painter *p)
{
    paint_broken(p);
    colour_end(p->out, p->shown);
    p->shown = 0;
    fputc('\n', p->out);
}
