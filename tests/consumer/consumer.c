/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* A C11 program outside the project: is the installed library the one of the header, and does it compute? */
#include <logprob.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

int main(void)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", LP_VERSION_MAJOR, LP_VERSION_MINOR, LP_VERSION_PATCH);
    if (strcmp(version, lp_version()) != 0) {
        fprintf(stderr, "the header is %s, the library %s\n", version, lp_version());
        return 1;
    }
    const float row[4] = {0, 3, 1, 2};
    const lp_logits in = {.data = row, .rows = 1, .vocab = 4};
    float lse;
    float logprob[2];
    int32_t token[2];
    lp_status status = lp_logsumexp(&in, &lse);
    if (status == LP_OK) {
        status = lp_topk(&in, 2, logprob, token);
    }
    if (status != LP_OK) {
        fprintf(stderr, "%s\n", lp_status_string(status));
        return 1;
    }
    printf("C: logprob %s on %s, logsumexp %.6f, top %d %d\n", lp_version(), lp_isa_name(lp_isa_active()), (double)lse,
           (int)token[0], (int)token[1]);
    int right = fabsf(lse - 3.4401897f) < 1e-6f && fabsf(logprob[0] + 0.4401897f) < 1e-6f;
    return !(right && token[0] == 1 && token[1] == 3);
}
