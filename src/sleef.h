/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The deterministic functions of SLEEF that the library calls: the same bits on every CPU, at every width, FMA or not. Its vector
 * functions are declared where the ISA's types are known, src/ISA/lanes.h. Declared here because <sleef.h> declares
 * vector types that a plain C11 compile of some compilers rejects. */
#ifndef LP_SLEEF_H
#define LP_SLEEF_H
double Sleef_cinz_expd1_u10purec(double x);
double Sleef_cinz_expm1d1_u10purec(double x);
double Sleef_cinz_logd1_u10purec(double x);
double Sleef_cinz_log1pd1_u10purec(double x);
#if defined(__GNUC__) && !defined(_WIN32)
#define SLEEF_VECTOR __attribute__((visibility("default"))) /* SLEEF's, whatever is hidden where they are declared */
#else
#define SLEEF_VECTOR
#endif
#endif
