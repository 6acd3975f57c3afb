/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* The C++ half of the shim: hands C cases to Google Benchmark and adds the ratios to the machine's limits. */
#include "gbench_shim.h"
#include <algorithm>
#include <benchmark/benchmark.h>
#include <ctime>
#include <string>
#include <vector>

namespace
{

using work = void (*)(void *);

/* This thread's time on its core: what other programs take in between is not the case's. */
double now()
{
    timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/* Times one piece of limiting work: short work in batches that the clock can resolve, long work a few times only. */
class Limit
{
  public:
    Limit(work run, void *argument) : run_(run), argument_(argument)
    {
    }

    void measure()
    {
        if (!run_)
            return;
        double start = now();
        run_(argument_);
        const double once = now() - start;
        const int batch = once > 5e-5 ? 1 : 1 + static_cast<int>(5e-5 / (once + 1e-9));
        run_(argument_);
        const double begin = now();
        for (int i = 0; i < 9 && (i < 3 || now() - begin < 4e-3); i++) {
            start = now();
            for (int j = 0; j < batch; j++)
                run_(argument_);
            samples_.push_back((now() - start) / batch);
        }
    }

    void report(benchmark::State &state, const char *name, double seconds)
    {
        if (samples_.empty())
            return;
        auto middle = samples_.begin() + static_cast<std::ptrdiff_t>(samples_.size() / 2);
        std::nth_element(samples_.begin(), middle, samples_.end());
        state.counters[std::string(name) + "_ns"] = *middle * 1e9;
        state.counters[std::string("x_") + name] = seconds / *middle;
    }

  private:
    work run_;
    void *argument_;
    std::vector<double> samples_;
};

void run_case(benchmark::State &state, const gbench_case &c)
{
    if (c.setup)
        c.setup(c.argument);
    Limit scan(c.scan, c.argument), limit(c.limit, c.argument);
    scan.measure();
    limit.measure();
    c.run(c.argument); /* the limits have touched the caches */
    const double start = now();
    for (auto _ : state)
        c.run(c.argument);
    const double seconds = (now() - start) / static_cast<double>(state.iterations());
    scan.measure();
    limit.measure();
    scan.report(state, "scan", seconds);
    (c.limit ? limit : scan).report(state, "limit", seconds);
    if (c.items > 0) {
        state.counters["ns_per_item"] = seconds * 1e9 / c.items;
        state.SetItemsProcessed(static_cast<int64_t>(c.items) * state.iterations());
    }
    if (c.bytes > 0)
        state.SetBytesProcessed(static_cast<int64_t>(c.bytes) * state.iterations());
    if (c.teardown)
        c.teardown(c.argument);
}

} // namespace

extern "C" void gbench_register(const gbench_case *c)
{
    const gbench_case copy = *c;
    benchmark::RegisterBenchmark(c->name, [copy](benchmark::State &state) {
        run_case(state, copy);
    })->Unit(benchmark::kMicrosecond);
}

extern "C" void gbench_context(const char *key, const char *value)
{
    benchmark::AddCustomContext(key, value);
}

extern "C" int gbench_main(int argc, char **argv)
{
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv))
        return 1;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
