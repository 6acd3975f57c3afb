/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* PyTorch, one thread, inference mode. C++ because libtorch has no C API. */
#include "cases.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

namespace
{

at::Tensor matrix(const float *data, const bench_job *job)
{
    const auto rows = static_cast<int64_t>(job->rows), vocab = static_cast<int64_t>(job->vocab);
    return at::from_blob(const_cast<float *>(data), {rows, vocab}, at::kFloat);
}

at::Tensor tokens(const bench_job *job)
{
    auto id = at::empty({static_cast<int64_t>(job->rows), 1}, at::kLong);
    for (size_t r = 0; r < job->rows; r++)
        id.data_ptr<int64_t>()[r] = job->token[r];
    return id;
}

void run_logsumexp(bench_job *job)
{
    c10::InferenceMode guard;
    bench_sink = *at::logsumexp(matrix(job->data, job), -1).data_ptr<float>();
}

void run_log_softmax(bench_job *job)
{
    c10::InferenceMode guard;
    auto out = matrix(job->dense, job);
    at::_log_softmax_out(out, matrix(job->data, job), -1, false);
}

void run_entropy(bench_job *job)
{
    c10::InferenceMode guard;
    auto logprob = at::log_softmax(matrix(job->data, job), -1);
    bench_sink = *at::sum(at::exp(logprob).mul_(logprob), -1).data_ptr<float>();
}

void run_topk(bench_job *job)
{
    c10::InferenceMode guard;
    auto top = at::topk(matrix(job->data, job), static_cast<int64_t>(job->k));
    bench_sink = *std::get<0>(top).data_ptr<float>();
}

/* vLLM's logprobs of a sampled token: log_softmax, topk, gather, rank, side by side. */
void run_vllm(bench_job *job)
{
    c10::InferenceMode guard;
    auto logprob = at::log_softmax(matrix(job->data, job), -1);
    auto top = at::topk(logprob, static_cast<int64_t>(job->k));
    auto id = tokens(job);
    auto chosen = at::gather(logprob, -1, id);
    auto rank = at::sum(at::ge(logprob, chosen), -1);
    auto ids = at::cat({id, std::get<1>(top)}, -1).to(at::kInt);
    auto all = at::cat({chosen, std::get<0>(top)}, -1);
    bench_sink = *all.data_ptr<float>();
}

void run_kl(bench_job *job)
{
    c10::InferenceMode guard;
    auto p = at::log_softmax(matrix(job->data, job), -1), q = at::log_softmax(matrix(job_other(job), job), -1);
    bench_sink = *at::sum(at::exp(p).mul_(p - q), -1).data_ptr<float>();
}

} // namespace

/* LOGPROB_BENCH_PEER_ISA=avx2 needs ATEN_CPU_CAPABILITY=avx2 beside it: ATen reads that when it is loaded. */
extern "C" void register_torch_peer(void)
{
    static const size_t one[] = {128256, 0};
    at::set_num_threads(1);
    bench_job job = {};
    job.subject = peer_name("torch");
    job.isa = peer_isa();
    job.family = "logsumexp";
    job.run = run_logsumexp;
    job_add_vocabs(&job, VOCABS);
    job.family = "entropy";
    job.run = run_entropy;
    job_add_vocabs(&job, one);
    job.family = "kl";
    job.run = run_kl;
    job_add_vocabs(&job, one);
    job.k = 20;
    job.family = "topk";
    job.run = run_topk;
    job_add_vocabs(&job, VOCABS);
    job.family = "score";
    job.subject = peer_name("torch_vllm");
    job.run = run_vllm;
    job_add_vocabs(&job, VOCABS);
    job.cold = 1;
    job_add_vocabs(&job, COLD_VOCABS);
    job.k = 0;
    job.subject = peer_name("torch");
    job.family = "log_softmax";
    job.run = run_log_softmax;
    job.limit = LIMIT_MEMCPY;
    job_add_vocabs(&job, COLD_VOCABS);
    job.cold = 0;
    job_add_vocabs(&job, VOCABS);
}
