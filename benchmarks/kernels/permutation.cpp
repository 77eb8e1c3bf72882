// Sorting slots by expert, and moving rows there and back: 32768 tokens, 8 of 128 experts, width 2048.
#include "ashlar/ops/permutation/permutation.hpp"

#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

constexpr index_t tokens = 32768, num_experts = 128, top_k = 8, slots = tokens * top_k, cols = 2048;

struct Sort {
  std::string name = "sort by expert, 32768 tokens to 8 of 128";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Sort&)
        : experts(memory, {tokens, top_k}),
          position(memory, {slots}),
          source(memory, {slots}),
          offsets(memory, {num_experts + 1}),
          workspace(memory, {ops::sort_by_expert_workspace<D>(slots, num_experts)}) {}
    Tensor<std::int32_t, D> experts, position, source, offsets, workspace;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const { random.distinct(o.experts, num_experts); }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::sort_by_expert<D>(queue, o.experts.view(), o.position.view(), o.source.view(), o.offsets.view(),
                           o.workspace.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    auto experts = read_all<std::int32_t>(queue, o.experts.view());
    HostMatrix<std::int32_t> position(1, slots), source(1, slots), offsets(1, num_experts + 1);
    Cpu::Queue host;
    ops::sort_by_expert<Cpu>(host, experts.view(), position.flat(), source.flat(), offsets.flat(), {});
    const auto all = [&](const auto& tensor) {
      return read_all<std::int32_t>(queue, tensor.view().reshaped({1, tensor.count()})).values;
    };
    return std::max({exactly(all(o.position), position.values), exactly(all(o.source), source.values),
                     exactly(all(o.offsets), offsets.values)});
  }
};

/// What arrived from 8 peers, in the order of the 16 experts that live here.
struct SortReceived {
  std::string name = "sort received, 262144 rows of 8 peers to 16 experts";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0;
  index_t peers = 8, local_experts = 16;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const SortReceived& c)
        : counts(memory, {c.peers, c.local_experts}),
          position(memory, {slots}),
          source(memory, {slots}),
          offsets(memory, {c.local_experts + 1}) {}
    Tensor<std::int32_t, D> counts, position, source, offsets;
  };
  /// Their sum stays below the rows there are: a receive buffer is rarely full.
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.fill(o.counts, [](float z) { return static_cast<std::int32_t>(1800 + 20 * z); });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::sort_received<D>(queue, o.counts.view(), o.position.view(), o.source.view(), o.offsets.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    auto counts = read_all<std::int32_t>(queue, o.counts.view());
    HostMatrix<std::int32_t> position(1, slots), source(1, slots), offsets(1, local_experts + 1);
    Cpu::Queue host;
    ops::sort_received<Cpu>(host, counts.view(), position.flat(), source.flat(), offsets.flat());
    const auto all = [&](const auto& tensor) {
      return read_all<std::int32_t>(queue, tensor.view().reshaped({1, tensor.count()})).values;
    };
    return std::max({exactly(all(o.position), position.values), exactly(all(o.source), source.values),
                     exactly(all(o.offsets), offsets.values)});
  }
};

enum class Move { permute, permute_backward, unpermute, unpermute_backward };

struct Movement {
  std::string name;
  Move move;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0.01;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Movement&)
        : tokens_in(memory, {tokens, cols}),
          tokens_out(memory, {tokens, cols}),
          rows_in(memory, {slots, cols}),
          rows_out(memory, {slots, cols}),
          weights(memory, {tokens, top_k}),
          dweights(memory, {tokens, top_k}),
          sort(memory, Sort{}) {}
    Tensor<bf16, D> tokens_in, tokens_out, rows_in, rows_out;
    Tensor<float, D> weights, dweights;
    Sort::Operands<D> sort;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.tokens_in);
    random.normal(o.rows_in);
    random.fill(o.weights, [](float z) { return 0.125f + 0.02f * z; });
    random.distinct(o.sort.experts, num_experts);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    const auto position = o.sort.position.view(), source = o.sort.source.view();
    switch (move) {
      case Move::permute:
        ops::permute<bf16>(queue, o.tokens_in.view(), source, top_k, o.rows_out.view(), position);
        break;
      case Move::permute_backward:
        ops::permute_backward<bf16>(queue, o.rows_in.view(), position, top_k, o.tokens_out.view(), false);
        break;
      case Move::unpermute:
        ops::unpermute<bf16>(queue, o.rows_in.view(), position, o.weights.view(), o.tokens_out.view(), false);
        break;
      case Move::unpermute_backward:
        ops::unpermute_backward<bf16>(queue, o.tokens_in.view(), o.rows_in.view(), position, o.weights.view(),
                                      o.rows_out.view(), o.dweights.view());
        break;
    }
  }
  /// Of some tokens: what each of their slots says.
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 16;
    Sort{}.run<Cuda>(queue, o.sort);
    run<Cuda>(queue, o);
    const auto position = read_all<std::int32_t>(queue, o.sort.position.view().reshaped({tokens, top_k}));
    double worst = 0;
    for (index_t s = 0; s < n; ++s) {
      const index_t token = spread(s, n, tokens);
      const auto weights = read_rows(queue, o.weights.view(), token, 1),
                 in = read_rows(queue, o.tokens_in.view(), token, 1);
      HostMatrix<> sum(1, cols), dweights(1, top_k);
      for (index_t j = 0; j < top_k; ++j) {
        const auto row = read_rows(queue, o.rows_in.view(), position.at(token, j), 1),
                   moved = read_rows(queue, o.rows_out.view(), position.at(token, j), 1);
        HostMatrix<> want = in;
        for (index_t c = 0; c < cols; ++c) {
          sum.at(0, c) += (move == Move::unpermute ? weights.at(0, j) : 1) * row.at(0, c);
          dweights.at(0, j) += in.at(0, c) * row.at(0, c);
          if (move == Move::unpermute_backward) want.at(0, c) *= weights.at(0, j);
        }
        if (move == Move::permute || move == Move::unpermute_backward)
          worst = std::max(worst, deviation(moved.values, want.values));
      }
      if (move == Move::permute_backward || move == Move::unpermute)
        worst = std::max(worst, deviation(read_rows(queue, o.tokens_out.view(), token, 1).values, sum.values));
      if (move == Move::unpermute_backward)
        worst = std::max(worst, deviation(read_rows(queue, o.dweights.view(), token, 1).values, dweights.values));
    }
    return worst;
  }
};

}  // namespace

void measure_permutation(Board& board) {
  board.row(Sort{});
  board.row(SortReceived{});
  board.row(Movement{"permute, 262144 x 2048", Move::permute});
  board.row(Movement{"permute backward, 262144 x 2048", Move::permute_backward});
  board.row(Movement{"unpermute, 262144 x 2048", Move::unpermute});
  board.row(Movement{"unpermute backward, 262144 x 2048", Move::unpermute_backward});
}

}  // namespace ashlar::benchmark
