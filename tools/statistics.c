/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Means, uncertainties, percentiles; variances are taken about the mean, which cancels nothing. */
#include "statistics.h"

#include <math.h>
#include <stdlib.h>

static double mean(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum / (double)n;
}

double covariance_of_means(const double *a, const double *b, size_t n)
{
    double mean_a = mean(a, n), mean_b = mean(b, n), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (a[i] - mean_a) * (b[i] - mean_b);
    return sum / (double)n / ((double)n - 1);
}

estimate mean_of(const double *values, size_t n)
{
    return (estimate){mean(values, n), sqrt(covariance_of_means(values, values, n))};
}

estimate rms_of(const double *values, size_t n)
{
    double sum = 0, spread = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i] * values[i];
    double square = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        spread += (values[i] * values[i] - square) * (values[i] * values[i] - square);
    double rms = sqrt(square), error = sqrt(spread / (double)n / ((double)n - 1));
    return (estimate){rms, rms > 0 ? error / (2 * rms) : 0};
}

static int compare_values(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void sort_values(double *values, size_t n)
{
    qsort(values, n, sizeof *values, compare_values);
}

double percentile(const double *sorted, size_t n, double percent)
{
    if (n == 0)
        return NAN;
    double place = percent / 100 * (double)(n - 1);
    size_t below = (size_t)place;
    double part = place - (double)below;
    if (below + 1 >= n || part == 0 || sorted[below] == sorted[below + 1])
        return sorted[below < n ? below : n - 1];
    return (1 - part) * sorted[below] + part * sorted[below + 1];
}
