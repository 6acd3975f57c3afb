/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* What exp_check.h says, of the ISA whose lanes.h LANES names; CHECK is the name of its table. */
#include "exp_check.h"
#include LANES
#include "core/prepare.h"

static uint32_t bits_of(float x)
{
    uint32_t b;
    memcpy(&b, &x, sizeof b);
    return b;
}

static size_t window(const float *x, size_t n, size_t *at)
{
    float e[EXP_CHECK_MOST], e_narrow[EXP_CHECK_MOST], t[EXP_CHECK_MOST], t_narrow[EXP_CHECK_MOST];
    for (size_t i = 0; i < n; i += LP_WIDTH) {
        vf a = v_load(x + i), ta, tb;
        v_store(e + i, exp_terms(a, v_set1(EXP_MAGIC), &ta));
        v_store(t + i, ta);
        v_store(e_narrow + i, exp_narrow(a, &tb));
        v_store(t_narrow + i, tb);
    }
    unsigned char wrong[EXP_CHECK_MOST];
    uint32_t broken = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t inside = (x[i] >= EXP_LOWEST) & (x[i] <= EXP_HIGHEST);
        uint32_t said = (bits_of(t[i]) & EXP_OUTSIDE) == 0;
        uint32_t said_narrow = ((bits_of(t_narrow[i]) & NARROW_OUTSIDE) == 0) & (e_narrow[i] - e_narrow[i] == 0);
        uint32_t same = bits_of(e_narrow[i]) == bits_of(e[i]);
        wrong[i] = (unsigned char)((said ^ inside) | (said_narrow & ((inside & same) ^ 1)));
        broken += wrong[i];
    }
    for (size_t i = 0; broken != 0 && i < n; i++) {
        if (wrong[i]) {
            *at = i;
            break;
        }
    }
    return broken;
}

static void terms(const float *x, float *e, float *n, size_t count)
{
    for (size_t i = 0; i < count; i += LP_WIDTH) {
        vf t;
        v_store(e + i, exp_terms(v_load(x + i), v_set1(EXP_MAGIC), &t));
        v_store(n + i, v_mul(v_sub(t, v_set1(EXP_MAGIC)), v_set1(1 / EXP_UNIT)));
    }
}

static void softcap(const float *x, float cap, float *out, size_t n)
{
    for (size_t i = 0; i < n; i += LP_WIDTH) {
        v_store(out + i, v_softcap(v_load(x + i), v_set1(cap)));
    }
}

const exp_check CHECK = {window, terms, softcap};
