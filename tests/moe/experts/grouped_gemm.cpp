#include "ashlar/moe/experts/grouped_gemm.hpp"

#include <cmath>

#include "moe/expert_laws.hpp"

using namespace ashlar;

namespace {
using E = Environment<Cpu, double, ep>;
using Experts = GroupedGemm<>::Module<E>;
constexpr MoeSizes sizes{.num_experts = 4, .top_k = 2, .hidden_dim = 5};
}  // namespace

TEST_CASE("experts by grouped products keep the laws of experts") {
  test::expert_laws<E, Experts>(3, sizes);
}

TEST_CASE("an expert is W2 (silu(W1 x) W3 x), by plain loops") {
  constexpr index_t dim = 3, hidden = 5;
  test::ExpertBench<E, Experts> bench(dim, sizes);
  const double x[] = {0.3, -1.2, 0.7};
  const auto got = bench.run({x, {1, dim}}, test::ExpertGroups({0, 0, 1, 0}));
  const auto weight = [&](const char* name, index_t row, index_t col) {
    for (const auto& e : bench.unit.layout().entries())
      if (e.info.name == name)
        return bench.unit.master().data()[e.begin + (2 * e.info.shape[1] + row) * e.info.shape[2] + col];
    return std::nan("");
  };
  for (index_t out = 0; out < dim; ++out) {
    double want = 0;
    for (index_t f = 0; f < hidden; ++f) {
      double gate = 0, up = 0;
      for (index_t i = 0; i < dim; ++i)
        gate += weight("experts.w1", f, i) * x[i], up += weight("experts.w3", f, i) * x[i];
      want += weight("experts.w2", out, f) * gate / (1 + std::exp(-gate)) * up;
    }
    CHECK(got[static_cast<std::size_t>(out)] == Approx(want).epsilon(1e-13));
  }
}
