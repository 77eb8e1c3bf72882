// Muon: momentum, made a nearly orthogonal matrix by Newton-Schulz (Jordan et al. 2024,
// kellerjordan.github.io/posts/muon; Liu et al. 2025, arXiv:2502.16982, for its scale and decay). Momentum stays cut
// into shards; what it says of a step is gathered whole, and each rank orthogonalises the matrices that its shard has
// a part of, and writes that part: there is no second exchange. Read next: ops/muon/newton_schulz.hpp.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>

#include "ashlar/ops/gradient_norm/gradient_norm.hpp"
#include "ashlar/ops/muon/newton_schulz.hpp"
#include "ashlar/optim/rule.hpp"

namespace ashlar::inline v0 {

template <class E>
class MuonModule {
 public:
  using T = typename E::Compute;
  using A = typename E::Master;
  using D = typename E::Device;
  using Queue = typename D::Queue;
  using View = typename E::View;
  using ConstView = typename E::ConstView;

  static constexpr int newton_schulz_steps = 5;
  static constexpr double eps = 1e-7;  // least norm that a matrix is divided by

  MuonModule(Memory<D>& memory, Queue& queue, const OptimizerConfig& options, const std::vector<RuleUnit<E>*>& units)
      : momentum_{options.momentum, options.nesterov}, match_rms_(options.adjust_lr == "match_rms_adamw") {
    index_t shard = 0, whole = 0, matrix = 0, gathered = 0, gram = 0;
    for (const RuleUnit<E>* u : units) {
      const UnitPart& trained = u->unit->layout().trained();
      shard = std::max(shard, trained.shard_size());
      if (trained.shards > 1) whole = std::max(whole, trained.size);
      for (const std::size_t p : u->parameters) {
        const Matrices m = matrices_of(*u->unit, p);
        const auto needed = ops::newton_schulz_workspace(m.whole_rows(), m.whole_cols());
        matrix = std::max(matrix, needed.product);
        gram = std::max(gram, needed.gram);
        if (m.parts > 1) gathered = std::max(gathered, needed.product);
      }
    }
    const auto make = [&]<class U>(Tensor<U, D>& tensor, index_t n) {
      if (n > 0) tensor = Tensor<U, D>(memory, {n});
    };
    make(shard_, shard);
    make(whole_, whole);
    make(gathered_, gathered);
    make(matrix_, matrix);
    make(product_, matrix);
    make(gram_, gram);
    make(polynomial_, gram);
    make(sum_, 1);
    make(workspace_, ops::sum_of_squares_workspace<D>(matrix));
    if (shard > 0) shard_.zero(queue);
  }

  void step(Queue& queue, RuleUnit<E>& u, const UpdateStep<E>& step) {
    const Unit<E>& unit = *u.unit;
    const index_t begin = unit.shard_begin(), end = begin + unit.shard_size();
    const View mine = shard_.view().range(0, unit.shard_size());
    for (UpdateSpan<E>& s : u.spans)
      ops::momentum<T>(queue, momentum_, step.gradient_scale, s.gradient, s.states[0],
                       mine.range(s.begin - begin, s.count));
    View all = mine;
    if (Communicator group = unit.groups().shard; group.size() > 1) {
      all = whole_.view().range(0, unit.layout().trained().size);
      group.template all_gather<T, D>(queue, mine, all).wait(queue);
    }
    for (const std::size_t p : u.parameters) {
      const Matrices m = matrices_of(unit, p);
      const index_t n = m.rows * m.cols;
      for (index_t i = 0; i < m.count; ++i) {
        const index_t first = unit.layout().entries()[p].begin + i * n;
        const index_t low = std::max(first, begin), high = std::min(first + n, end);
        if (low >= high) continue;  // and so on every rank of tp, whose shards are cut alike
        const UpdateSpan<E>& s = *std::find_if(u.spans.begin(), u.spans.end(), [&](const UpdateSpan<E>& span) {
          return span.begin <= low && low < span.begin + span.count;
        });
        const double lr = step.lr * s.lr_factor;
        ops::descend<T>(queue, {lr, s.weight_decay, lr * adjusted(m)}, step.gradient_scale,
                        orthogonalized(queue, unit, m, all.range(first, n)), low - first,
                        s.master.range(low - s.begin, high - low),
                        s.copy ? s.copy.range(low - s.begin, high - low) : View());
      }
    }
  }

 private:
  // The matrices [rows, cols] of a parameter as this rank's unit has them, one after another; of each, `parts` ranks
  // of tp have a part of the rows (cut 0) or columns (cut 1).
  struct Matrices {
    index_t count = 1, rows = 1, cols = 1;
    int parts = 1, cut = 0;

    index_t whole_rows() const { return rows * (cut == 0 ? parts : 1); }
    index_t whole_cols() const { return cols * (cut == 1 ? parts : 1); }
  };
  static Matrices matrices_of(const Unit<E>& unit, std::size_t parameter) {
    const UnitLayout::Entry& e = unit.layout().entries()[parameter];
    const int rank = e.local_shape.rank();
    Matrices m;
    m.rows = e.local_shape[rank - 2];
    m.cols = e.local_shape[rank - 1];
    for (int i = 0; i + 2 < rank; ++i) m.count *= e.local_shape[i];
    for (const Shard& shard : e.info.shards)
      if (shard.axis == Axis::tp && shard.dim >= rank - 2) {
        m.parts = unit.groups().tensor.size();
        m.cut = shard.dim - (rank - 2);
      }
    return m;
  }

  // What the rate is multiplied by, so that steps of matrices of all shapes are alike: as large as those of a square
  // one, or with the root mean square of AdamW's.
  double adjusted(const Matrices& m) const {
    const auto rows = static_cast<double>(m.whole_rows()), cols = static_cast<double>(m.whole_cols());
    return match_rms_ ? 0.2 * std::sqrt(std::max(rows, cols)) : std::sqrt(std::max(1.0, rows / cols));
  }

  // This rank's part [rows, cols] of the orthogonalised matrix of which it has `local` [rows cols].
  ConstView orthogonalized(Queue& queue, const Unit<E>& unit, const Matrices& m, View local) {
    Communicator tensor = unit.groups().tensor;
    const index_t n = m.rows * m.cols, rows = m.whole_rows(), cols = m.whole_cols();
    View all = local;
    if (m.parts > 1) {
      all = gathered_.view().range(0, m.parts * n);
      tensor.template all_gather<T, D>(queue, local, all).wait(queue);
    }
    sum_.zero(queue);
    ops::sum_of_squares<T>(queue, ConstView(all), sum_.view(), workspace_.view());
    const View x = matrix_.view().range(0, rows * cols).reshaped({rows, cols});
    const auto part = [&](int k) { return m.cut == 0 ? x.rows(k * m.rows, m.rows) : x.columns(k * m.cols, m.cols); };
    for (int k = 0; k < m.parts; ++k)
      ops::normalize<T, D>(queue, all.range(k * n, n).reshaped({m.rows, m.cols}), sum_.view(), eps, part(k));
    ops::newton_schulz<T, D>(queue, x, newton_schulz_steps, product_.view(), gram_.view(), polynomial_.view());
    return part(m.parts > 1 ? tensor.rank() : 0);
  }

  ops::MomentumStep momentum_;
  bool match_rms_;
  Tensor<T, D> shard_, whole_;      // what momentum says of a unit: this rank's, all
  Tensor<T, D> gathered_, matrix_;  // of one matrix: the parts of ranks of tp, and what becomes orthogonal
  Tensor<A, D> product_;
  Tensor<T, D> gram_, polynomial_;
  Tensor<double, D> sum_, workspace_;
};

/// For matrices of hidden layers. Vectors, and tables of embeddings and outputs, go to the next rule that takes them.
struct Muon {
  static constexpr std::string_view name = "Muon";
  static constexpr std::array<std::string_view, 1> states{"momentum_buffer"};
  static bool takes(const ParameterInfo& info) { return info.shape.rank() >= 2 && !info.table; }
  template <class E>
  using Module = MuonModule<E>;
};

}  // namespace ashlar::inline v0
