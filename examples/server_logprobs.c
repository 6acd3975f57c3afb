/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A server's answer to "logprobs": true: one lp_score for a batch whose rows want different numbers of alternatives, and JSON
 * that a strict parser takes whatever the logits were. Shown in docs/embedding.md; each printed line is one row. */
#include <locale.h>
#include <logprob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 4, VOCAB = 8, MOST = 4 };

/* pieces of text that JSON needs care for: quotes, a line's end, the first two bytes of a character of three */
static const char *const piece[VOCAB] = {"The", " cat", "\n", "\"", "\xE2\x82", " sat", ".", "</s>"};

/* -inf has no JSON. -9999 is what OpenAI documents and vLLM sends; a NaN is no logprob, so it becomes null, not a number.
 * Nine digits give the float back. The decimal point is the locale's: whatever it is, a point is sent. */
static void json_logprob(FILE *to, float logprob)
{
    char text[64];
    if (isnan(logprob)) {
        fputs("null", to);
        return;
    }
    snprintf(text, sizeof text, "%.9g", (double)(logprob > -9999 ? logprob : -9999));
    for (const char *c = text; *c != 0; c++) {
        if (strchr("0123456789+-e", *c) != NULL) {
            putc(*c, to);
        } else if (strchr("0123456789", c[1]) != NULL) {
            putc('.', to); /* the last byte of the decimal point */
        }
    }
}

/* the bytes of a well-formed UTF-8 character, 0 where there is none */
static size_t utf8_length(const unsigned char *s)
{
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xC2 && s[0] < 0xE0 ? 2 : s[0] >= 0xE0 && s[0] < 0xF0 ? 3 : 4;
    if (s[0] > 0xF4 || (s[0] >= 0x80 && s[0] < 0xC2)) {
        return 0;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    int is_overlong = (s[0] == 0xE0 && s[1] < 0xA0) || (s[0] == 0xF0 && s[1] < 0x90);
    int is_no_character = (s[0] == 0xED && s[1] > 0x9F) || (s[0] == 0xF4 && s[1] > 0x8F);
    return is_overlong || is_no_character ? 0 : n;
}

/* a token's text; bytes that are no UTF-8, as tokens often end in, become U+FFFD: "bytes" has them as they are */
static void json_token(FILE *to, const char *text)
{
    fputs("\"token\":\"", to);
    for (const unsigned char *s = (const unsigned char *)text; *s != 0;) {
        size_t n = utf8_length(s);
        if (n == 0) {
            fputs("\\ufffd", to);
        } else if (*s < 0x20 || *s == '"' || *s == '\\') {
            fprintf(to, "\\u%04x", *s);
        } else {
            fwrite(s, 1, n, to);
        }
        s += n == 0 ? 1 : n;
    }
    fputs("\",\"bytes\":[", to);
    for (const char *s = text; *s != 0; s++) {
        fprintf(to, "%s%d", s == text ? "" : ",", (unsigned char)*s);
    }
    fputs("]", to);
}

static void json_row(FILE *to, int32_t token, float logprob, const int32_t *top, const float *top_logprob, size_t n)
{
    fputs("{", to);
    json_token(to, piece[token]);
    fputs(",\"logprob\":", to);
    json_logprob(to, logprob);
    fputs(",\"top_logprobs\":[", to);
    for (size_t i = 0; i < n && top[i] >= 0; i++) { /* id -1: the row has no more tokens, or is bad */
        fputs(i == 0 ? "{" : ",{", to);
        json_token(to, piece[top[i]]);
        fputs(",\"logprob\":", to);
        json_logprob(to, top_logprob[i]);
        fputs("}", to);
    }
    fputs("]}\n", to);
}

static int respond(FILE *to, const lp_logits *in, const int32_t *chosen, const size_t *top_n)
{
    float logprob[ROWS], top_logprob[ROWS][MOST];
    int32_t top[ROWS][MOST];
    lp_status status[ROWS];
    lp_scores out = {.token_logprob = logprob, .top_logprob = top_logprob[0], .top_token = top[0], .status = status};

    /* the largest number that any row wants: the first j of k are the top-j */
    lp_status call = lp_score(in, chosen, MOST, &out);
    if (call == LP_ERR_ARG) {
        return 0; /* the caller's mistake: nothing was written */
    }
    for (size_t i = 0; i < in->rows; i++) {
        if (status[i] != LP_OK) {
            fprintf(stderr, "row %zu: %s\n", i, lp_status_string(status[i])); /* others are right */
        }
        json_row(to, chosen[i], logprob[i], top[i], top_logprob[i], top_n[i]);
    }
    return 1;
}

int main(void)
{
    float logits[ROWS][VOCAB] = {{4, 2, 1, 0, -1, 3, 0, -2}, {0, 1, 2, 3, 4, 5, 6, 7}, {0}, {40, 0, 0, 0, 0, 0, 0, 0}};
    const uint32_t allowed[ROWS] = {0xFF, 0x1C, 0xFF, 0xFF}; /* a grammar leaves row 1 three tokens */
    const int32_t chosen[ROWS] = {0, 7, 3, 0};               /* and row 1 was given another: -inf */
    const size_t top_n[ROWS] = {2, 4, 1, 0};
    logits[2][5] = NAN; /* what a broken weight does */
    setlocale(LC_ALL, "");

    const lp_logits in = {.data = logits, .rows = ROWS, .vocab = VOCAB, .allowed = allowed};
    return respond(stdout, &in, chosen, top_n) ? 0 : 1;
}
