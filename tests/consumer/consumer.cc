// SPDX-License-Identifier: MIT OR Apache-2.0
// A C++17 program outside the project, with the same header.
#include <logprob.h>

#include <cmath>
#include <cstdio>
#include <vector>

int main()
{
    const std::vector<float> rows = {0, 3, 1, 2, 5, 5, 5, 5};
    lp_logits in{};
    in.data = rows.data();
    in.rows = 2;
    in.vocab = 4;
    std::vector<float> entropy(2), lse(2);
    lp_scores out{};
    out.logsumexp = lse.data();
    out.entropy = entropy.data();
    if (lp_status status = lp_score(&in, nullptr, 0, &out)) {
        std::fprintf(stderr, "%s\n", lp_status_string(status));
        return 1;
    }
    std::printf("C++: logsumexp %.6f %.6f, entropy %.6f %.6f\n", lse[0], lse[1], entropy[0], entropy[1]);
    return !(std::fabs(lse[0] - 3.4401897f) < 1e-6f && std::fabs(entropy[1] - std::log(4.0f)) < 1e-6f);
}
