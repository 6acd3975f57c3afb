/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The statistics that llama-perplexity prints about two models: means with their uncertainties, percentiles. */
#ifndef LOGPROB_TOOLS_STATISTICS_H
#define LOGPROB_TOOLS_STATISTICS_H
#include <stddef.h>

/* A mean and its standard error. */
typedef struct estimate {
    double value, error;
} estimate;

estimate mean_of(const double *values, size_t n);
/* The covariance of the means of two samples that belong together. */
double covariance_of_means(const double *a, const double *b, size_t n);
/* sqrt(mean(values^2)) */
estimate rms_of(const double *values, size_t n);

void sort_values(double *values, size_t n);
/* Of sorted values: between the two nearest ones, linearly. */
double percentile(const double *sorted, size_t n, double percent);

#endif
