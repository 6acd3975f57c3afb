/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Every public function that reads logits, behind one signature: what the ISA, guard, environment and golden
 * tests walk. */
#ifndef TESTS_CALLS_H
#define TESTS_CALLS_H
#include "results.h"

/* Calls the function with every output wanted. The first region is the returned status; inputs that the call
 * draws itself (token ids) are regions too, so that writing to them or reading beyond them shows. Ids of row
 * i are drawn from seed + i. */
typedef struct call {
    const char *name;
    void (*run)(const lp_logits *in, uint64_t seed, results *out);
    size_t max_vocab; /* leave larger rows out: they cost more than they show */
    bool by_row;      /* each output has one part for each row, and a batch equals its rows */
    bool derived;     /* does not take `in` itself, but its parts, or logprobs that another function made of it */
} call;
extern const call calls[];
extern const size_t call_count;

/* An id of 16 is "none", one of 16 is beyond the vocabulary, the rest are valid. */
int32_t draw_token(rng *r, size_t vocab);
bool call_absent(const results *r); /* the function answered LP_ERR_ISA: this build does not have it yet */
#endif
