/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Sorting peers. C++ because the peer is the C++ standard library: std::partial_sort and std::sort of (logit, id) pairs,
 * and the way llama.cpp's server answers a logprobs request. */
#include "cases.h"
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

namespace
{

using pair = std::pair<float, int32_t>;

bool better(const pair &a, const pair &b)
{
    return a.first > b.first || (a.first == b.first && a.second < b.second);
}

std::vector<pair> pairs(const float *x, size_t n)
{
    std::vector<pair> p(n);
    for (size_t i = 0; i < n; i++)
        p[i] = {x[i], static_cast<int32_t>(i)};
    return p;
}

void run_topk(bench_job *job)
{
    for (size_t r = 0; r < job->rows; r++) {
        auto p = pairs(job->data + r * job->vocab, job->vocab);
        const auto end = p.begin() + static_cast<std::ptrdiff_t>(job->k);
        std::partial_sort(p.begin(), end, p.end(), better);
        bench_sink = p[0].first;
    }
}

void run_sort(bench_job *job)
{
    auto p = pairs(job->data, job->vocab);
    std::sort(p.begin(), p.end(), better);
    bench_sink = p[0].first;
}

/* llama.cpp's token data and the steps of its server's get_token_probabilities: copy every token, sort the best to the
 * front, softmax with expf over all. */
struct token_data {
    int32_t id;
    float logit, p;
};

void run_llama_server(bench_job *job)
{
    for (size_t r = 0; r < job->rows; r++) {
        const float *x = job->data + r * job->vocab;
        std::vector<token_data> cur(job->vocab);
        for (size_t i = 0; i < job->vocab; i++)
            cur[i] = {static_cast<int32_t>(i), x[i], 0.0f};
        std::partial_sort(cur.begin(), cur.begin() + static_cast<std::ptrdiff_t>(job->k), cur.end(),
                          [](const token_data &a, const token_data &b) { return a.logit > b.logit; });
        const float max = cur[0].logit;
        float sum = 0;
        for (auto &t : cur) {
            t.p = expf(t.logit - max);
            sum += t.p;
        }
        for (auto &t : cur)
            t.p /= sum;
        bench_sink = cur[0].p;
    }
}

} // namespace

extern "C" void register_sort_peer(void)
{
    bench_job job = {};
    job.isa = peer_isa();
    job.k = 20;
    job.family = "topk";
    job.subject = "partial_sort";
    job.run = run_topk;
    job_add_vocabs(&job, VOCABS);
    job.family = "score";
    job.subject = "llama_server";
    job.run = run_llama_server;
    job_add_vocabs(&job, VOCABS);
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
    job.cold = 0;
    job.subject = "sort";
    job.run = run_sort;
    job.vocab = job.k = 128256;
    job_add(&job);
}
