// Initial values on Cuda: a thread draws four, which a counter gives. Read next: device/cuda/simt.cuh.
#pragma once

#include "ashlar/device/cuda/launch.cuh"
#include "ashlar/ops/initial_values/initial_values.hpp"

namespace ashlar::inline v0::ops::cuda {

namespace kernel {

template <class U>
struct DrawValues {
  struct Params {
    InitialValues values;
    index_t begin, end;
    U* out;
  };
  using Shared = NoShared;
  static constexpr int threads = 256;

  ASHLAR_DEVICE static void run(const Params& p, Simt<Shared>& ctx) {
    const index_t q = p.begin / 4 + ctx.block_x() * threads + ctx.thread();
    if (4 * q >= p.end) return;
    const auto drawn = p.values.template four<Acc<U>>(q);
    for (int j = 0; j < 4; ++j)
      if (const index_t i = 4 * q + j; i >= p.begin && i < p.end)
        ctx.store(p.out + (i - p.begin), U(drawn[static_cast<std::size_t>(j)]));
  }
};

}  // namespace kernel

template <class U>
void draw(Cuda::Queue& queue, const InitialValues& values, index_t begin, TensorView<U, Cuda> out) {
  const index_t end = begin + out.count();
  if (out.count() == 0) return;
  launch<kernel::DrawValues<U>>(queue, {ceil_div(ceil_div(end, 4) - begin / 4, kernel::DrawValues<U>::threads)},
                                {values, begin, end, out.data()});
}

}  // namespace ashlar::inline v0::ops::cuda
