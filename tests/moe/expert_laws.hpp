// What experts must do, of whatever kind. expert_laws<E, Module>(dim, sizes) checks them; the test of a new kind is one
// call. Read next: ashlar/moe/experts.hpp.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "ashlar/moe/experts.hpp"
#include "nn/finite_difference.hpp"

namespace ashlar::test {

/// Rows of each expert, and where each one's begin.
struct ExpertGroups {
  explicit ExpertGroups(const std::vector<std::int32_t>& rows) : offsets(rows.size() + 1) {
    std::partial_sum(rows.begin(), rows.end(), offsets.begin() + 1);
  }
  index_t rows() const { return offsets.back(); }
  TensorView<const std::int32_t, Cpu> view() const { return {offsets.data(), {std::ssize(offsets)}}; }
  std::vector<std::int32_t> offsets;
};

/// Experts on their own: of some of the experts where `place` says so, with the weights of all where it does not.
template <class E, class Experts>
struct ExpertBench {
  using Place = typename Declarations<E>::Place;
  ExpertBench(index_t dim, const MoeSizes& sizes, Place place = {})
      : declarations(memory, queue, {}, place),
        experts(declarations, dim, sizes, 0.02),
        unit(declarations.take(), {}, {}),
        arena(memory) {
    unit.allocate(memory, queue, nullptr, nullptr);
    const auto& entries = unit.layout().entries();
    for (std::size_t p = 0; p < entries.size(); ++p) {
      const auto& e = entries[p];
      std::vector<double> all(static_cast<std::size_t>(e.info.shape.count()));
      Subject<E>::fill(all.data(), e.info.shape.count(), 1000 + p, 0.4);
      const index_t each = e.info.shape.count() / e.info.shape[0];
      std::copy_n(all.data() + e.local_offset[0] * each, e.local_shape.count(), unit.master().data() + e.begin);
    }
  }
  /// The results of `rows`, which are sorted by expert.
  std::vector<double> run(TensorView<const double, Cpu> rows, const ExpertGroups& groups) {
    Context<E> c(queue, arena);
    typename Experts::Saved saved;
    const auto out = experts.forward(c, {rows, groups.view()}, saved);
    std::vector<double> values(out.data(), out.data() + out.count());
    arena.clear();
    return values;
  }

  Memory<Cpu> memory;
  Cpu::Queue queue;
  Declarations<E> declarations;
  Experts experts;
  Unit<E> unit;
  Arena<Cpu> arena;
};

/// What a row becomes is its expert's doing alone, whoever stands beside it and on whichever rank the expert is.
template <class E, class Experts>
void rows_are_their_experts_own(index_t dim, const MoeSizes& sizes, const ExpertGroups& groups) {
  std::vector<double> x(static_cast<std::size_t>(groups.rows() * dim));
  Subject<E>::fill(x.data(), std::ssize(x), 7, 1);
  const TensorView<const double, Cpu> rows(x.data(), {groups.rows(), dim});
  ExpertBench<E, Experts> bench(dim, sizes);
  const std::vector<double> together = bench.run(rows, groups);
  const auto close = [&](const std::vector<double>& part, index_t first_row) {
    for (std::size_t i = 0; i < part.size(); ++i)
      if (!(part[i] == Approx(together[static_cast<std::size_t>(first_row * dim) + i]).epsilon(1e-12).margin(1e-14)))
        FAIL_CHECK("row " << first_row + static_cast<index_t>(i) / dim << " is another one");
  };
  for (index_t expert = 0; expert < sizes.num_experts; ++expert)
    for (index_t r = groups.offsets[static_cast<std::size_t>(expert)];
         r < groups.offsets[static_cast<std::size_t>(expert) + 1]; ++r) {
      std::vector<std::int32_t> one(static_cast<std::size_t>(sizes.num_experts));
      one[static_cast<std::size_t>(expert)] = 1;
      close(bench.run(rows.rows(r, 1), ExpertGroups(one)), r);
    }
  for (int rank = 0; rank < 2; ++rank) {
    ExpertBench<E, Experts> half(dim, sizes, {rank, 2});
    for (const auto& e : half.unit.layout().entries()) {
      CHECK(e.info.expert);
      CHECK(e.local_shape[0] == e.info.shape[0] / 2);
    }
    const auto begin = static_cast<std::size_t>(sizes.num_experts / 2 * rank);
    std::vector<std::int32_t> mine;
    for (std::size_t i = begin; i < begin + static_cast<std::size_t>(sizes.num_experts / 2); ++i)
      mine.push_back(groups.offsets[i + 1] - groups.offsets[i]);
    const index_t first = groups.offsets[begin];
    const ExpertGroups part(mine);
    close(half.run(rows.rows(first, part.rows()), part), first);
  }
}

/// Backward is what central differences say, whatever is kept, made again, put off or frozen.
template <class E, class Experts>
void experts_have_their_gradients(index_t dim, const MoeSizes& sizes, const ExpertGroups& groups) {
  Subject<E> s;
  Experts experts(s.declarations, dim, sizes, 0.02);
  typename Experts::Saved saved;
  s.add_input({groups.rows(), dim});
  const auto rows = [&] { return ExpertRows<E>{s.inputs[0].view(), groups.view()}; };
  s.forward = [&](Context<E>& c, const auto&) { return typename Subject<E>::Views{experts.forward(c, rows(), saved)}; };
  s.recompute = [&](Context<E>& c) { experts.recompute(c, rows(), saved); };
  s.backward = [&](Context<E>& c, const auto& d) {
    const TensorView<const double, Cpu> dout = c.template stable<double>(d[0].reshaped({groups.rows(), dim}));
    return typename Subject<E>::Views{experts.backward(c, dout, saved)};
  };
  GradientLaw<E>(s).check();
}

/// `sizes` has four experts.
template <class E, class Experts>
void expert_laws(index_t dim, const MoeSizes& sizes) {
  static_assert(ExpertsModule<Experts, E>);
  REQUIRE(sizes.num_experts == 4);
  for (const auto& rows :
       std::vector<std::vector<std::int32_t>>{{3, 0, 2, 4}, {0, 0, 7, 0}, {1, 1, 1, 1}, {0, 0, 0, 0}}) {
    CAPTURE(rows);
    rows_are_their_experts_own<E, Experts>(dim, sizes, ExpertGroups(rows));
    if (ExpertGroups(rows).rows() > 0) experts_have_their_gradients<E, Experts>(dim, sizes, ExpertGroups(rows));
  }
}

}  // namespace ashlar::test
