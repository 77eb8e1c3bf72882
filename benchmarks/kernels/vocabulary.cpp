// What has a row a token of the vocabulary: embedding and cross-entropy, at the sizes of Llama 3 8B.
#include "ashlar/ops/cross_entropy/cross_entropy.hpp"
#include "ashlar/ops/embedding/embedding.hpp"
#include "kernels/groups.hpp"

namespace ashlar::benchmark {

namespace {

constexpr index_t vocab_size = 128256;

struct Lookup {
  std::string name;
  bool backward;
  Ceiling ceiling = Ceiling::copy;
  double tolerance = backward ? 1e-5 : 0;
  index_t tokens = 32768, cols = 4096;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const Lookup& c)
        : ids(memory, {c.tokens}),
          workspace(memory, {ops::embedding_backward_workspace<D>(c.tokens, vocab_size)}),
          table(memory, {vocab_size, c.cols}),
          rows(memory, {c.tokens, c.cols}),
          dtable(memory, {vocab_size, c.cols}) {}
    Tensor<std::int32_t, D> ids, workspace;
    Tensor<bf16, D> table, rows;
    Tensor<float, D> dtable;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.below(o.ids, vocab_size);
    random.normal(o.table);
    random.normal(o.rows);
    random.fill(o.dtable, [](float) { return 0.f; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    if (backward)
      ops::embedding_backward<bf16>(queue, o.ids.view(), o.rows.view(), 0, o.dtable.view(), o.workspace.view());
    else
      ops::embedding<bf16>(queue, o.ids.view(), o.table.view(), 0, o.rows.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 16;
    run<Cuda>(queue, o);
    const auto ids = read_all<std::int32_t>(queue, o.ids.view().reshaped({tokens, 1}));
    double worst = 0;
    for (index_t s = 0; s < n; ++s) {
      const std::int32_t id = ids.at(spread(s, n, tokens), 0);
      if (!backward) {
        worst = std::max(worst, exactly(read_rows(queue, o.rows.view(), spread(s, n, tokens), 1).values,
                                        read_rows(queue, o.table.view(), id, 1).values));
        continue;
      }
      std::vector<double> want(static_cast<std::size_t>(cols));
      for (index_t t = 0; t < tokens; ++t) {
        if (ids.at(t, 0) != id) continue;
        const auto dy = read_rows(queue, o.rows.view(), t, 1);
        for (std::size_t j = 0; j < want.size(); ++j) want[j] += dy.values[j];
      }
      worst = std::max(worst, deviation(read_rows(queue, o.dtable.view(), id, 1).values, want));
    }
    return worst;
  }
};

/// The statistics and the gradient: what the loss does with a chunk's logits, forward and backward in one.
struct CrossEntropyBothWays {
  std::string name = "cross_entropy forward and backward, 8192 x 128256";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 0.01;
  index_t rows = 8192;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const CrossEntropyBothWays& c)
        : logits(memory, {c.rows, vocab_size}),
          statistics(memory, {c.rows, 3}),
          loss(memory, {c.rows}),
          dlogits(memory, {c.rows, vocab_size}),
          targets(memory, {c.rows}) {}
    Tensor<float, D> logits, statistics, loss;
    Tensor<bf16, D> dlogits;
    Tensor<std::int32_t, D> targets;
  };
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.normal(o.logits);
    random.below(o.targets, vocab_size);
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::cross_entropy_statistics<float>(queue, o.logits.view(), o.targets.view(), 0, o.statistics.view());
    ops::cross_entropy_backward<bf16>(queue, o.logits.view(), o.targets.view(), 0, o.statistics.view(), scale(),
                                      o.dlogits.view(), o.loss.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    constexpr index_t n = 8;
    run<Cuda>(queue, o);
    auto logits = sample_rows(queue, o.logits.view(), n);
    auto targets = sample_rows<std::int32_t>(queue, o.targets.view().reshaped({rows, 1}), n);
    HostMatrix<> statistics(n, 3), dlogits(n, vocab_size), loss(n, 1);
    Cpu::Queue host;
    ops::cross_entropy_statistics<double>(host, logits.view(), targets.flat(), 0, statistics.view());
    ops::cross_entropy_backward<double>(host, logits.view(), targets.flat(), 0, statistics.view(), scale(),
                                        dlogits.view(), loss.flat());
    return std::max(deviation(sample_rows(queue, o.dlogits.view(), n).values, dlogits.values),
                    deviation(sample_rows(queue, o.loss.view().reshaped({rows, 1}), n).values, loss.values));
  }
  double scale() const { return 1 / static_cast<double>(rows); }
};

/// What a row's statistics take to come together from the shards of a tensor-parallel vocabulary.
struct CrossEntropyMerge {
  std::string name = "cross_entropy merge, 8 shards of 32768 rows";
  Ceiling ceiling = Ceiling::copy;
  double tolerance = 1e-5;
  index_t ranks = 8, rows = 32768;

  template <class D>
  struct Operands {
    Operands(Memory<D>& memory, const CrossEntropyMerge& c)
        : shards(memory, {c.ranks, c.rows, 3}), statistics(memory, {c.rows, 3}) {}
    Tensor<float, D> shards, statistics;
  };
  /// Maximum, sum and target's logit alike positive, as a row's sum must be.
  void fill(RandomValues& random, Operands<Cuda>& o) const {
    random.fill(o.shards, [](float z) { return 1 + z * z; });
  }
  template <class D>
  void run(typename D::Queue& queue, Operands<D>& o) const {
    ops::cross_entropy_merge<float>(queue, o.shards.view(), o.statistics.view());
  }
  double error(Cuda::Queue& queue, Operands<Cuda>& o) const {
    run<Cuda>(queue, o);
    auto shards = read_all(queue, o.shards.view().reshaped({ranks * rows, 3}));
    HostMatrix<> statistics(rows, 3);
    Cpu::Queue host;
    ops::cross_entropy_merge<double>(host, shards.view().reshaped({ranks, rows, 3}), statistics.view());
    return deviation(read_all(queue, o.statistics.view()).values, statistics.values);
  }
};

}  // namespace

void measure_vocabulary(Board& board) {
  board.row(Lookup{"embedding forward, 32768 of 128256 x 4096", false});
  board.row(Lookup{"embedding backward, 32768 of 128256 x 4096", true});
  board.row(CrossEntropyBothWays{});
  board.row(CrossEntropyMerge{});
}

}  // namespace ashlar::benchmark
