/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Detects what the CPU and the operating system have, and publishes one complete, constant table of kernels. */
#include "dispatch.h"
#include "logprob.h"
#include <stdlib.h>
#include <string.h>

#if defined(LP_HAVE_AVX2) || defined(LP_HAVE_AVX512)
#include <cpuid.h>

static uint64_t enabled_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

/* bit a of the 32 */
static int has(uint32_t word, int a)
{
    return (int)(word >> a & 1);
}

/* the ISAs that it has besides scalar, bit 1 + isa each; CPUID can cost tens of microseconds in a virtual machine */
static unsigned cpu_isas(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return 0;
    }
    int fma = has(c, 12), osxsave = has(c, 27), avx = has(c, 28), f16c = has(c, 29);
    if (!osxsave || !avx || !fma || !f16c || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return 0;
    }
    uint64_t state = enabled_state();
    const uint64_t ymm = 0x6, zmm = 0xE6;
    int avx2 = has(b, 5), avx512 = has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31); /* F, DQ, BW, VL */
    avx2 = avx2 && (state & ymm) == ymm;
    avx512 = avx2 && avx512 && (state & zmm) == zmm;
    return (unsigned)avx2 << (1 + LP_ISA_AVX2) | (unsigned)avx512 << (1 + LP_ISA_AVX512);
}

/* for CPUs with AVX-512: Intel's, and AMD's, which are Zen 4, of family 25, and later */
static void far_set(unsigned isas)
{
    static const size_t intel[FAR_KINDS] = {
        [FAR_FIRST] = LP_PREFETCH_FAR, [FAR_HALVES] = LP_PREFETCH_FAR, [FAR_LOOK] = LP_PREFETCH_FAR};
    static const size_t zen4[FAR_KINDS] = {
        [FAR_FIRST] = 11264, [FAR_REST] = 11264, [FAR_HALVES] = 4096, [FAR_PAIR] = 16384};
    static const size_t zen5[FAR_KINDS] = {
        [FAR_FIRST] = LP_PREFETCH_FAR, [FAR_REST] = LP_PREFETCH_FAR, [FAR_HALVES] = LP_PREFETCH_FAR};
    uint32_t a, b, c, d, vendor[3];
    if (!(isas >> (1 + LP_ISA_AVX512) & 1) || !__get_cpuid(0, &a, &b, &c, &d)) {
        return;
    }
    vendor[0] = b, vendor[1] = d, vendor[2] = c;
    const int is_intel = memcmp(vendor, "GenuineIntel", sizeof vendor) == 0;
    if ((!is_intel && memcmp(vendor, "AuthenticAMD", sizeof vendor) != 0) || !__get_cpuid(1, &a, &b, &c, &d)) {
        return;
    }
    const int is_zen4 = (a >> 8 & 15) == 15 && (a >> 20 & 255) == 10;
    const size_t *far = is_intel ? intel : is_zen4 ? zen4 : zen5;
    for (int kind = 0; kind < FAR_KINDS; kind++) {
        atomic_store_explicit(&far_bytes[kind], far[kind], memory_order_relaxed);
    }
}
#else
static unsigned cpu_isas(void)
{
    return 1U << (1 + LP_ISA_NEON); /* part of every AArch64 */
}

static void far_set(unsigned isas)
{
    (void)isas;
}
#endif

/* what is built in, best first */
static const kernels *const built[] = {
#ifdef LP_HAVE_AVX512
    &kernels_avx512,
#endif
#ifdef LP_HAVE_AVX2
    &kernels_avx2,
#endif
#ifdef LP_HAVE_NEON
    &kernels_neon,
#endif
    &kernels_scalar,
};
enum { BUILT = sizeof built / sizeof *built };

atomic_size_t far_bytes[FAR_KINDS] = {[FAR_FIRST] = LP_PREFETCH_FAR, [FAR_HALVES] = LP_PREFETCH_FAR};

/* cpu_isas and scalar, asked once. Bit 0: known; bit 1 + isa: has it. */
static int has_isa(lp_isa isa)
{
    static atomic_uint known;
    unsigned bits = atomic_load_explicit(&known, memory_order_relaxed);
    if (bits == 0) {
        bits = cpu_isas() | 1U << (1 + LP_ISA_SCALAR) | 1;
        far_set(bits);
        atomic_store_explicit(&known, bits, memory_order_relaxed);
    }
    return isa >= LP_ISA_SCALAR && isa <= LP_ISA_NEON && (bits >> (1 + isa) & 1);
}

static const kernels *find(lp_isa isa)
{
    for (int i = 0; i < BUILT; i++) {
        if (built[i]->isa == isa && has_isa(isa)) {
            return built[i];
        }
    }
    return NULL;
}

static const kernels *choose(void)
{
    const char *wish = getenv("LOGPROB_ISA");
    for (lp_isa isa = LP_ISA_SCALAR; wish != NULL && isa <= LP_ISA_NEON; isa++) {
        const kernels *k = strcmp(wish, lp_isa_name(isa)) == 0 ? find(isa) : NULL;
        if (k != NULL) {
            return k;
        }
    }
    for (int i = 0; i < BUILT; i++) {
        if (find(built[i]->isa) != NULL) {
            return built[i];
        }
    }
    return &kernels_scalar;
}

_Atomic(const kernels *) active_kernels;

const kernels *choose_kernels(void)
{
    const kernels *first = NULL, *mine = choose();
    /* the loser of a race adopts the winner's table, which the failed exchange puts into `first` */
    return atomic_compare_exchange_strong_explicit(&active_kernels, &first, mine, memory_order_acq_rel,
                                                   memory_order_acquire)
               ? mine
               : first;
}

lp_isa lp_isa_active(void)
{
    return dispatch()->isa;
}

int lp_isa_supported(lp_isa isa)
{
    return find(isa) != NULL;
}

lp_status lp_isa_select(lp_isa isa)
{
    const kernels *k = find(isa);
    if (k == NULL) {
        return LP_ERR_ISA;
    }
    atomic_store_explicit(&active_kernels, k, memory_order_release);
    return LP_OK;
}

const char *lp_isa_name(lp_isa isa)
{
    switch (isa) {
    case LP_ISA_SCALAR:
        return "scalar";
    case LP_ISA_AVX2:
        return "avx2";
    case LP_ISA_AVX512:
        return "avx512";
    case LP_ISA_NEON:
        return "neon";
    default:
        return "unknown";
    }
}
