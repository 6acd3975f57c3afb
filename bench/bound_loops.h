/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The vector operations that rows need, as loops none of whose operations waits for another (x86-64).
 *
 * A list is that of one column of a group (src/core/block.h), eight registers of elements, and of what its sums take to the end of
 * the block. What there is once a block or once a row is left out, and what a list of tokens asks for. */
#ifndef LP_BENCH_BOUND_LOOPS_H
#define LP_BENCH_BOUND_LOOPS_H
#include <immintrin.h>
#include <stddef.h>

/* Operands are constants, 0; each list takes registers by turns, so that what a fused operation adds to is there long before. */
#define OF(name, d) name " %%" W S1 ", %%" W S2 ", %%" W #d "\n\t"
#define BY(name, n, d) name " $" #n ", %%" W S1 ", %%" W #d "\n\t"
#define TO(name, d) name " %%" W S1 ", %%" W #d "\n\t"
#define FROM(name, d) name " (%1), %%" W #d "\n\t"
#define FMA(d) OF("vfmadd231ps", d)
#define MUL(d) OF("vmulps", d)
#define ADD(d) OF("vaddps", d)
#define SUB(d) OF("vsubps", d)
#define MAX(d) OF("vmaxps", d)
#define STORE "vmovups %%" W S1 ", (%1)\n\t"
#define FOUR(pair) pair pair pair pair

/* what e^x of one register takes, and of two */
#define EXP_512(a, b, c, d, e, f, g, h, i)                                                                             \
    FMA(a) SUB(b) FMA(c) OF("vpermps", d) FMA(e) FMA(f) MUL(g) FMA(h) OF("vscalefps", i)
#define EXP_256(a, b, c, d, e, f, g, h, i, j)                                                                          \
    FMA(a)                                                                                                             \
    SUB(b) FMA(c) OF("vpermps", d) BY("vpslld", 20, e) OF("vpaddd", f) FMA(g) FMA(h) MUL(i) FMA(j) OF("vpor", 10)
#define TWO_512(load, other)                                                                                           \
    load(20) EXP_512(0, 1, 2, 3, 4, 5, 6, 7, 8) other(21)                                                              \
        EXP_512(9, 10, 11, 12, 13, 14, 15, 16, 17) "vpternlogd $254, %%zmm30, %%zmm31, %%zmm18\n\t"
#define TWO_256(load, other)                                                                                           \
    load(11) EXP_256(0, 1, 2, 3, 4, 5, 6, 7, 8, 9) other(12) EXP_256(3, 4, 5, 6, 7, 8, 9, 0, 1, 2)

/* how the elements come: as they lie, or widened */
#define PLAIN(d) FROM("vmovups", d)
#define F16(d) FROM("vcvtph2ps", d)
#define BF16_EVEN_512(d) FROM("vmovups", d) BY("vpslld", 16, d)
#define BF16_ODD_512(d) FROM("vmovups", d) OF("vpandd", d)
#define BF16(d) "vbroadcasti128 (%1), %%" W #d "\n\t" OF("vpshufb", d)

/* a column's lane sums, eight blocks of which are added in double */
#define TOTAL_512 STORE TO("vmovshdup", 22) OF("vpmuludq", 23) OF("vpmuludq", 24) OF("vaddpd", 25) OF("vaddpd", 26)
#define TOTAL_256 STORE "vcvtps2pd (%1), %%ymm11\n\tvcvtps2pd (%1), %%ymm12\n\t" OF("vaddpd", 13) OF("vaddpd", 10)

#define SUM_OF_EIGHT(a, b, c) ADD(a) ADD(b) ADD(c)
#define LARGEST_OF_EIGHT(a, b, c, d) MAX(a) MAX(b) MAX(c) MAX(d) MAX(a) MAX(b) MAX(c)

/* what there is of a pair of registers, beside the exponentials: of logsumexp, of the entropy, of any token's rank */
#define SUM_PAIR(a) ADD(a)
#define ENTROPY_PAIR(a, b, c, d) SUB(a) SUB(b) MUL(c) FMA(d)
#define RANK_512 "vcmpps $14, %%zmm30, %%zmm31, %%k1\n\tvpsubd %%zmm30, %%zmm31, %%zmm19%{%%k2%}\n\t"
#define RANK_HALVES_512 "vpcmpgtw %%zmm30, %%zmm31, %%k1\n\tvpaddw %%zmm30, %%zmm31, %%zmm19%{%%k2%}\n\t"
#define RANK_256 "vcmpps $14, %%ymm14, %%ymm15, %%ymm13\n\t" OF("vpsubd", 12)
#define RANK_HALVES_256 OF("vpcmpgtw", 13) OF("vpsubw", 12)

#define LOGSUMEXP_512 FOUR(TWO_512(PLAIN, PLAIN) SUM_PAIR(27)) SUM_OF_EIGHT(22, 23, 24) TOTAL_512 MAX(29)
#define LOGSUMEXP_256 FOUR(TWO_256(PLAIN, PLAIN) SUM_PAIR(13)) SUM_OF_EIGHT(0, 1, 2) TOTAL_256 MAX(3)
#define SCORE_512(load, other, rank)                                                                                   \
    LARGEST_OF_EIGHT(22, 23, 24, 25)                                                                                   \
    FOUR(TWO_512(load, other) SUM_PAIR(27) ENTROPY_PAIR(22, 23, 24, 25) rank)                                          \
    SUM_OF_EIGHT(22, 23, 24) SUM_OF_EIGHT(25, 26, 27) TOTAL_512 MAX(29) STORE SUB(22) FMA(23) TOTAL_512
#define SCORE_256(load, other, rank)                                                                                   \
    LARGEST_OF_EIGHT(0, 1, 2, 3)                                                                                       \
    FOUR(TWO_256(load, other) SUM_PAIR(13) ENTROPY_PAIR(11, 12, 13, 10) rank)                                          \
    SUM_OF_EIGHT(0, 1, 2) SUM_OF_EIGHT(3, 4, 5) TOTAL_256 MAX(6) STORE SUB(7) FMA(8) TOTAL_256

/* Of two rows: four times two registers of either; d = a - b, sums of both, and w d to v - w; then v d, the extremes of d, and w b. */
#define KL_512 TWO_512(PLAIN, PLAIN) SUB(22) FMA(23) TWO_512(PLAIN, PLAIN) SUB(24) FMA(25) ADD(26) ADD(27)
#define KL_256 TWO_256(PLAIN, PLAIN) SUB(0) FMA(1) TWO_256(PLAIN, PLAIN) SUB(2) FMA(3) ADD(4) ADD(5)
#define KL_SUMS(a, b, c, d)                                                                                            \
    SUM_OF_EIGHT(a, b, c) SUM_OF_EIGHT(d, a, b) SUB(a) SUB(b) SUB(c) SUB(d) SUM_OF_EIGHT(a, b, c) MAX(a) MAX(b)
#define BESIDE(a, b, c, d) FMA(a) MAX(b) MAX(c) FMA(d) FMA(a) MAX(b) MAX(c) FMA(d)

#define NAMES_256                                                                                                      \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",         \
        "xmm13", "xmm14", "xmm15"
#define NAMES_512                                                                                                      \
    NAMES_256, "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26",      \
        "xmm27", "xmm28", "xmm29", "xmm30", "xmm31", "k1", "k2"
#define ZERO(d) "vpxord %%zmm" #d ", %%zmm" #d ", %%zmm" #d "\n\t"
#define CLEAR_256 "vzeroall\n\t"
#define CLEAR_512                                                                                                      \
    CLEAR_256 ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23) ZERO(24) ZERO(25) ZERO(26)       \
        ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31) "kxorw %%k2, %%k2, %%k2\n\t"

/* `operations` so many times */
#define LOOP(name, target_isa, clear, names, operations)                                                               \
    __attribute__((target(target_isa))) static void name(size_t times)                                                 \
    {                                                                                                                  \
        static _Alignas(64) float memory[16];                                                                          \
        __asm__ volatile(clear "1:\n\t" operations "dec %0\n\tjnz 1b\n\tvzeroupper\n\t"                                \
                         : "+r"(times)                                                                                 \
                         : "r"(memory)                                                                                 \
                         : "memory", "cc", names);                                                                     \
    }
#define LOOP_512(name, operations) LOOP(name, "avx512f,avx512bw", CLEAR_512, NAMES_512, operations)
#define LOOP_256(name, operations) LOOP(name, "avx2", CLEAR_256, NAMES_256, operations)

#define W "zmm"
#define S1 "30"
#define S2 "31"
LOOP_512(logsumexp_512, LOGSUMEXP_512)
LOOP_512(likely_512, SCORE_512(PLAIN, PLAIN, ""))
LOOP_512(any_512, SCORE_512(PLAIN, PLAIN, RANK_512 RANK_512))
LOOP_512(f16_512, SCORE_512(F16, F16, RANK_HALVES_512))
LOOP_512(bf16_512, SCORE_512(BF16_EVEN_512, BF16_ODD_512, RANK_HALVES_512))
LOOP_512(kl_512, FOUR(KL_512) KL_SUMS(22, 23, 24, 25) TOTAL_512 TOTAL_512 TOTAL_512)
LOOP_512(compare_512, FOUR(KL_512 BESIDE(22, 23, 24, 25)) KL_SUMS(22, 23, 24, 25) ADD(26) ADD(27)
                          TOTAL_512 TOTAL_512 TOTAL_512 TOTAL_512 TOTAL_512)
#undef W
#undef S1
#undef S2
#define W "ymm"
#define S1 "14"
#define S2 "15"
LOOP_256(logsumexp_256, LOGSUMEXP_256)
LOOP_256(likely_256, SCORE_256(PLAIN, PLAIN, ""))
LOOP_256(any_256, SCORE_256(PLAIN, PLAIN, RANK_256 RANK_256))
LOOP_256(f16_256, SCORE_256(F16, F16, RANK_HALVES_256))
LOOP_256(bf16_256, SCORE_256(BF16, BF16, RANK_HALVES_256))
LOOP_256(kl_256, FOUR(KL_256) KL_SUMS(0, 1, 2, 3) TOTAL_256 TOTAL_256 TOTAL_256)
LOOP_256(compare_256, FOUR(KL_256 BESIDE(0, 1, 2, 3)) KL_SUMS(0, 1, 2, 3) ADD(4) ADD(5)
                          TOTAL_256 TOTAL_256 TOTAL_256 TOTAL_256 TOTAL_256)
#undef W
#undef S1
#undef S2

/* n floats, from the end, as a function that reads its row twice does: what came last is still in a near cache */
#define COPY(name, target_isa, width, load, store)                                                                     \
    __attribute__((target(target_isa))) static void name(float *to, const float *from, size_t n)                       \
    {                                                                                                                  \
        for (size_t i = n / width; i > 0; i--) {                                                                       \
            store(to + (i - 1) * width, load(from + (i - 1) * width));                                                 \
            __asm__ volatile("" ::: "memory"); /* or it becomes memcpy */                                              \
        }                                                                                                              \
    }
COPY(copy_512, "avx512f", 16, _mm512_loadu_ps, _mm512_storeu_ps)
COPY(copy_256, "avx2", 8, _mm256_loadu_ps, _mm256_storeu_ps)
#endif
