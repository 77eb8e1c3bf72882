// The report of benchmarks/trace on made-up traces: what it must find inside steps, and what it must not.
#include "../../benchmarks/trace/report.cpp"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <unistd.h>

#include "catch.hpp"

using namespace ashlar::trace;

namespace {

/// A host that launches one thing after another, and a device that follows.
class Run {
 public:
  void call(const char* name) {
    trace.calls.push_back({trace.names.id(name), ++id_, 7, host_, host_ + 300});
    host_ += 400;
  }
  void put(const char* call_name, Work kind, const char* name, bool pageable = false) {
    call(call_name);
    device_ = std::max(device_, host_);
    trace.work.push_back({kind, pageable, trace.names.id(name), id_, 13, device_, device_ + 900});
    device_ += 1000;
  }
  void launch(const char* kernel) { put("cudaLaunchKernelExC", Work::kernel, kernel); }
  /// `inside` is called after the step's first kernel.
  template <class F>
  void step(bool pageable, F&& inside) {
    call("cudaEventSynchronize");  // the host is ahead: it is no part of the step
    put("cudaMemcpyAsync", Work::copy_to_device, "copy to the device", pageable);
    launch("_ZN6ashlar2v06detail11simt_kernelINS0_3ops4cuda6kernel7RmsNormIffLb1EEEEEvNT_6ParamsE");
    inside();
    launch("_ZN6ashlar2v06detail11simt_kernelINS0_3ops4cuda6kernel9ClipScaleIfEEEEvNT_6ParamsE");
    launch("_ZN6ashlar2v06detail11simt_kernelINS0_3ops4cuda6kernel5AdamWIfEEEEvNT_6ParamsE");
    put("cudaMemcpyAsync", Work::copy_to_host, "copy to the host", true);  // the result is read
    call("cudaStreamSynchronize");
  }
  /// The report's text.
  std::string report() {
    const auto prefix = std::filesystem::temp_directory_path() / ("ashlar_trace_" + std::to_string(::getpid()));
    write_report(trace, prefix.string());
    std::ostringstream text;
    text << std::ifstream(prefix.string() + ".txt").rdbuf();
    for (const char* end : {".txt", ".json"}) std::filesystem::remove(prefix.string() + end);
    return text.str();
  }

  Trace trace;

 private:
  std::uint32_t id_ = 0;
  std::uint64_t host_ = 1000, device_ = 1500;
};

}  // namespace

TEST_CASE("a trace's report: results that are read between steps are no waits inside them") {
  Run run;
  for (int i = 1; i <= 5; ++i)
    run.step(false, [&] {
      if (i <= 2) run.call("cudaMalloc");  // while it warms up
    });
  const std::string text = run.report();
  CHECK_THAT(text, ContainsText("waits inside steady steps: 0\n"));
  CHECK_THAT(text, ContainsText("steps 3 to 5"));
  CHECK_THAT(text, ContainsText("RmsNorm<float, float, true>"));
}

TEST_CASE("a trace's report names waits inside a step, and the step") {
  const auto with = [](bool pageable, const char* call) {
    Run run;
    for (int i = 1; i <= 5; ++i)
      run.step(pageable && i == 4, [&] {
        if (call && i == 4) run.call(call);
      });
    return run.report();
  };
  for (const char* call : {"cudaStreamSynchronize", "cudaFree", "cudaMemcpy", "synchronization: context"}) {
    CAPTURE(call);
    CHECK_THAT(with(false, call), ContainsText(std::string(call) + "; in 4\n"));
    CHECK_THAT(with(false, call), ContainsText("waits inside steady steps: 1\n"));
  }
  CHECK_THAT(with(true, nullptr), ContainsText("cudaMemcpyAsync of pageable memory; in 4\n"));
}

TEST_CASE("a trace's report of too few steps claims nothing") {
  Run run;
  run.step(false, [] {});
  CHECK_THAT(run.report(), ContainsText("unknown, only 1 steps were traced"));
}

TEST_CASE("kernels' names are shortened") {
  CHECK(short_name("nvjet_tst_128x256_64x4_2x1_v_bz_coopA_NNT") == "nvjet_tst_128x256_64x4_2x1_v_bz_coopA_NNT");
  CHECK(short_name("_ZN7cutlass7Kernel2I12cutlass_80_xEEvNT_6ParamsE") == "Kernel2<cutlass_80_x>");
}
