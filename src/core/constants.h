/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Constants of the hot loop's exp. Made by scripts/derive_constants.py: change that, not this. */
/* clang-format off */
#ifndef LP_CORE_CONSTANTS_H
#define LP_CORE_CONSTANTS_H

/* 8 / ln 2 and ln 2 / 8 in units of 2^-22, the ulp of [2, 4); 2 + 127 * 8 units */
#define EXP_LOG2E 0x1.715476p-19f
#define EXP_LN2 0x1.62e43p+18f
#define EXP_UNIT 0x1p-22f
#define EXP_MAGIC 0x1.0007fp+1f
/* float's ln 2 minus ln 2 */
#define EXP_LN2_ERROR 0x1.05c610ca86c39p-29

/* cubic: relative error 2.05e-08 */
#define EXP_C1 0x1p+0f
#define EXP_C2 0x1.000a4p-1f
#define EXP_C3 0x1.554d22p-3f

/* low 20 mantissa bits of scale * 2^(k/8): relative error 2.76e-09 */
#define EXP_TABLE \
    { 0xB3A3E, 0x7D424, 0x59202, 0x48E45, 0x4E5BE, 0x6B7DA, 0xA26DE, 0xF5829 }

/* the entries themselves, entry k at 7 - k */
#define EXP_TABLE_REVERSED \
    { 0x1.feb052p+0f, 0x1.d44dbcp+0f, 0x1.ad6fb4p+0f, 0x1.89cb7cp+0f, 0x1.691c8ap+0f, 0x1.4b2404p+0f, 0x1.2fa848p+0f, 0x1.16747cp+0f }

/* the table by bytes: byte j of entry k at 8 j + k */
#define EXP_TABLE_PLANES \
    { 0x3E, 0x24, 0x02, 0x45, 0xBE, 0xDA, 0xDE, 0x29, 0x3A, 0xD4, 0x92, 0x8E, 0xE5, 0xB7, 0x26, 0x58, \
      0x0B, 0x07, 0x05, 0x04, 0x04, 0x06, 0x0A, 0x0F, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00 }

/* kappa / scale, undone once per block */
#define EXP_FACTOR 0x1.d6b6295b3764ap-1

/* tanh z = z + z u P(u), u = z^2, up to 5/8 */
#define TANH_P0 (-0x1.555556p-2f)
#define TANH_P1 0x1.1110eap-3f
#define TANH_P2 (-0x1.ba08c4p-5f)
#define TANH_P3 0x1.64a976p-6f
#define TANH_P4 (-0x1.116a16p-7f)
#define TANH_P5 0x1.2c83cp-9f

/* the floats between which fma(x, EXP_LOG2E, EXP_MAGIC) lies in [2, 2 + 2047 units] */
#define EXP_LOWEST (-0x1.603496p+6f)
#define EXP_HIGHEST 0x1.657d9cp+6f
#endif
