/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#include "bounds.h"
#include "support.h"

#include <math.h>

double sum_slack(const oracle *row)
{
    return BOUND_SUM * row->rest / (1 + row->rest);
}

bool rest_vanishes(const oracle *row)
{
    return row->rest < BOUND_REST * (1 + 1e-6);
}

bool logsumexp_holds(const oracle *row, float got)
{
    const double ulp = ulp_of_larger((double)got, row->logsumexp);
    return fabs((double)got - row->logsumexp) <= BOUND_ROUNDING_ULP * ulp + sum_slack(row);
}

bool entropy_holds(const oracle *row, float got)
{
    if (rest_vanishes(row) && got == 0) {
        return true;
    }
    const double ulp = ulp_of_larger((double)got, row->entropy);
    const double error = fabs((double)got - row->entropy);
    return error <= BOUND_ROUNDING_ULP * ulp + BOUND_ENTROPY * row->entropy && !signbit(got);
}
