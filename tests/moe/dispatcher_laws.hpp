// What every token dispatcher must do, alone or over ranks. dispatcher_laws<Dispatcher>(world) throws Error where a law
// is broken, so that it serves on threads. Read next: ashlar/moe/token_dispatcher.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ashlar/core/random.hpp"
#include "ashlar/moe/token_dispatchers/local.hpp"

namespace ashlar::test {

inline void expect_law(bool holds, std::string_view law, std::string_view routing) {
  if (!holds) fail(concat("a dispatcher's law is broken: ", law, "; with ", routing));
}

/// The tokens of all ranks and where they go, the same on every rank; rank r holds `per_rank` of them from its own
/// first.
struct Routing {
  std::string_view name;
  std::vector<index_t> per_rank;
  index_t top_k;
  std::vector<std::int32_t> experts;  // [tokens, k]

  index_t first(int rank) const {
    index_t at = 0;
    for (int r = 0; r < rank; ++r) at += per_rank[static_cast<std::size_t>(r)];
    return at;
  }
  index_t total() const { return first(static_cast<int>(per_rank.size())); }
};

/// Random, all to one expert, an expert left empty, a rank without tokens, no tokens at all.
inline std::vector<Routing> routings(int ranks, index_t experts) {
  const auto even = [&](index_t n) { return std::vector<index_t>(static_cast<std::size_t>(ranks), n); };
  std::vector<index_t> uneven = even(6);
  uneven.back() = 0;
  std::vector<Routing> all{{"random routes, k = 1", even(7), 1, {}},     {"random routes, k = 2", even(7), 2, {}},
                           {"all tokens to one expert", even(5), 1, {}}, {"an expert without tokens", even(9), 2, {}},
                           {"a rank without tokens", uneven, 2, {}},     {"no tokens", even(0), 2, {}}};
  for (Routing& r : all) {
    const RandomStream stream(11, hash_name(r.name));
    for (index_t t = 0; t < r.total(); ++t) {
      const auto id = static_cast<std::uint64_t>(t), n = static_cast<std::uint64_t>(experts);
      auto e = stream.below(2 * id, n);
      if (r.name == "all tokens to one expert") e = n - 1;
      if (r.name == "an expert without tokens") e = stream.below(2 * id, n - 2);  // k = 2: e and e + 1
      for (index_t j = 0; j < r.top_k; ++j)
        r.experts.push_back(static_cast<std::int32_t>((e + static_cast<std::uint64_t>(j)) % n));
    }
  }
  return all;
}

/// One rank's dispatcher with its tokens.
template <class E, class Dispatcher>
class DispatcherLaw {
 public:
  using View = TensorView<double, Cpu>;
  using ConstView = TensorView<const double, Cpu>;
  static constexpr index_t dim = 3, experts = 8;

  DispatcherLaw(const Routing& routing, Communicator world)
      : routing_(routing),
        world_(world),
        n_(routing.per_rank[static_cast<std::size_t>(world.rank())]),
        k_(routing.top_k),
        declarations_(memory_, queue_, {}, {world.rank(), world.size()}),
        dispatcher_(declarations_, experts),
        kept_(memory_),
        scratch_(memory_),
        x_(random({n_, dim}, 1)),
        weights_(random({n_, k_}, 2)) {
    routed_ = {{routing.experts.data() + routing.first(world.rank()) * k_, {n_, k_}}, view(weights_)};
  }

  /// What comes back to the tokens and what the ranks' experts saw are what one rank that holds everything would make.
  void check() {
    for (const Keep keep : {Keep::all, Keep::selected})
      for (const bool before : {false, true}) {
        routed_.weigh_before = before;
        Context<E> c(queue_, scratch_);
        c.kept_arena = &kept_;
        c.keep = keep;
        c.expert_parallel = world_;
        check(c);
        DeferredGradients later;
        c.deferred = &later;
        check(c);
      }
  }

 private:
  struct Values {
    std::vector<double> values;
    Shape shape;
  };

  void law(bool holds, std::string_view what) const { expect_law(holds, what, routing_.name); }
  // A function of the token's number over all ranks.
  Values random(const Shape& shape, std::uint64_t stream_id) const {
    const RandomStream stream(21, stream_id);
    Values out{{}, shape};
    for (index_t i = 0; i < shape.count(); ++i)
      out.values.push_back(stream.normal(static_cast<std::uint64_t>(routing_.first(world_.rank()) * shape[1] + i)));
    return out;
  }
  static View view(Values& v) { return {v.values.data(), v.shape}; }
  static double inner(ConstView a, ConstView b) {
    double sum = 0;
    for (index_t i = 0; i < a.count(); ++i) sum += a.data()[i] * b.data()[i];
    return sum;
  }
  bool everywhere_close(double a, double b) {  // of sums over ranks
    double both[] = {a, b};
    world_.reduce_values(std::span<double>(both));
    return std::abs(both[0] - both[1]) < 1e-11 * (1 + std::abs(both[0]));
  }
  index_t local_experts() const { return experts / world_.size(); }

  void check(Context<E>& c) {
    kept_.clear();
    scratch_.clear();
    typename Dispatcher::Saved saved;
    const ExpertRows<E> rows = dispatcher_.dispatch(c, view(x_), routed_, saved);
    rows_are_grouped(rows);
    const std::vector<double> first(rows.rows.data(), rows.rows.data() + rows.rows.count());

    // Expert e multiplies by e + 1: a linear map, whose transpose is known.
    View out = c.template kept<double>(rows.rows.shape());
    scale(rows, rows.rows, out);
    auto y = Values{std::vector<double>(static_cast<std::size_t>(n_ * dim), 100), {n_, dim}};
    dispatcher_.combine(c, out, saved, view(y));
    for (index_t t = 0; t < n_; ++t) {
      double factor = 0;
      for (index_t j = 0; j < k_; ++j) factor += routed_.weights.row(t)[j] * (routed_.experts.row(t)[j] + 1);
      for (index_t i = 0; i < dim; ++i) {
        const double want = 100 + factor * view(x_).row(t)[i];
        law(std::abs(view(y).row(t)[i] - want) < 1e-11, "combine adds each token's weighted sum");
      }
    }

    c.recomputing = true;
    const ExpertRows<E> again = dispatcher_.redispatch(c, view(x_), saved);
    c.recomputing = false;
    law(std::equal(first.begin(), first.end(), again.rows.data(), again.rows.data() + again.rows.count()),
        "redispatch makes the rows of dispatch");

    Values dy = random({n_, dim}, 3), dx{std::vector<double>(static_cast<std::size_t>(n_ * dim)), {n_, dim}};
    Values dweights{std::vector<double>(static_cast<std::size_t>(n_ * k_)), {n_, k_}};
    const View dout = dispatcher_.combine_backward(c, view(dy), saved, view(dweights));
    if (routed_.weigh_before)
      law(std::all_of(dweights.values.begin(), dweights.values.end(), [](double v) { return v == 0; }),
          "combine_backward leaves the gradient of weights that came before to dispatch_backward");
    law(dout.shape() == out.shape(), "combine_backward returns a gradient for every row");
    View drows = c.template scratch<double>(out.shape());
    scale(again, dout, drows);
    dispatcher_.dispatch_backward(c, drows, view(x_), saved, view(dweights), view(dx));
    for (double& v : y.values) v -= 100;
    law(everywhere_close(inner(view(y), view(dy)), inner(view(x_), view(dx))), "backward is the transpose of forward");
    law(everywhere_close(inner(view(y), view(dy)), inner(routed_.weights, view(dweights))),
        "the weights' gradient is the transpose of forward in the weights");
    dispatcher_.dispatch_backward(c, drows, view(x_), saved, view(dweights), view(dx));
    law(everywhere_close(2 * inner(view(y), view(dy)), inner(view(x_), view(dx))), "dispatch_backward adds to dx");
  }

  void scale(const ExpertRows<E>& rows, ConstView in, View out) {
    for (index_t e = 0; e < local_experts(); ++e)
      for (index_t r = rows.offsets.data()[e]; r < rows.offsets.data()[e + 1]; ++r)
        for (index_t i = 0; i < dim; ++i)
          out.row(r)[i] = in.row(r)[i] * static_cast<double>(world_.rank() * local_experts() + e + 1);
  }

  // Exactly the tokens routed to each expert, in the order of ranks and tokens: what one rank would see.
  void rows_are_grouped(const ExpertRows<E>& rows) {
    const RandomStream stream(21, 1), weights(21, 2);
    law(rows.offsets.count() == local_experts() + 1, "an offset for each local expert, and the end");
    law(rows.offsets.data()[0] == 0 && rows.offsets.data()[local_experts()] == rows.rows.rows(),
        "offsets cover the rows");
    for (index_t e = 0; e < local_experts(); ++e) {
      index_t at = rows.offsets.data()[e];
      for (index_t t = 0; t < routing_.total(); ++t)
        for (index_t j = 0; j < k_; ++j) {
          if (routing_.experts[static_cast<std::size_t>(t * k_ + j)] != world_.rank() * local_experts() + e) continue;
          law(at < rows.offsets.data()[e + 1], "no row is missing");
          const double w = routed_.weigh_before ? weights.normal(static_cast<std::uint64_t>(t * k_ + j)) : 1;
          for (index_t i = 0; i < dim; ++i)
            law(rows.rows.row(at)[i] == w * stream.normal(static_cast<std::uint64_t>(t * dim + i)),
                "rows are their tokens', in order, times the weights that come before");
          ++at;
        }
      law(at == rows.offsets.data()[e + 1], "no row is left over");
    }
  }

  const Routing& routing_;
  Communicator world_;
  index_t n_, k_;
  Memory<Cpu> memory_;
  Cpu::Queue queue_;
  Declarations<E> declarations_;
  Dispatcher dispatcher_;
  Arena<Cpu> kept_, scratch_;
  Values x_, weights_;
  RoutedTokens<E> routed_;
};

/// `world`: the ranks that the experts are spread over.
template <class E, class Dispatcher>
void dispatcher_laws(Communicator world = {}) {
  static_assert(DispatcherModule<Dispatcher, E>);
  for (const Routing& routing : routings(world.size(), DispatcherLaw<E, Dispatcher>::experts))
    DispatcherLaw<E, Dispatcher>(routing, world).check();
}

}  // namespace ashlar::test
