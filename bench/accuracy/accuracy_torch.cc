/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* PyTorch's log_softmax and topk; C++ because libtorch has no C API. */
#include "accuracy.h"
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

static at::Tensor row(const float *x, size_t n)
{
    at::set_num_threads(1);
    return at::from_blob(const_cast<float *>(x), {1, static_cast<int64_t>(n)}, at::kFloat);
}

extern "C" void dense_torch(float *out, const float *x, size_t n)
{
    c10::InferenceMode guard;
    auto result = row(out, n);
    at::_log_softmax_out(result, row(x, n), -1, false);
}

extern "C" void top_torch(int *id, size_t k, const float *x, size_t n)
{
    c10::InferenceMode guard;
    auto ids = std::get<1>(at::topk(row(x, n), static_cast<int64_t>(k)));
    for (size_t i = 0; i < k; i++) {
        id[i] = static_cast<int>(ids.data_ptr<int64_t>()[i]);
    }
}
