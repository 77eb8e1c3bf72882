#include "ashlar/nn/output_loss.hpp"

#include "nn/finite_difference.hpp"

using namespace ashlar;

namespace {

using E = Environment<Cpu, double>;

// A subject that computes loss_scale times the loss of `rows` tokens, every fifth of them ignored.
struct LossSubject : test::Subject<E> {
  LossSubject(index_t rows, index_t dim, index_t vocab, Parameter<E>* tied = nullptr,
              LossFunction<E> function = CrossEntropy{})
      : output(declarations, vocab, dim, 1e-3, tied), loss(std::move(function)) {
    sequences.count = 1;
    sequences.len = rows;
    targets.ids = add_ids(rows, vocab);
    for (std::size_t i = 2; i < ids[0].size(); i += 5) ids[0][i] = ops::ignore_index;
    loss_scale = 0.37;
    output_gradient = 1;
    add_input({rows, dim});
    forward = [this](Context<E>& c, const auto& in) {
      auto scaled = c.scratch<double>({1});
      scaled.data()[0] = 0;
      output.forward(c, in[0], targets, loss, scaled, saved);
      scaled.data()[0] *= c.loss_scale;
      return std::vector{scaled};
    };
    recompute = [this](Context<E>& c) { output.recompute(c, saved); };
    backward = [this](Context<E>& c, const auto&) { return std::vector{output.backward(c, saved)}; };
  }
  Targets<Cpu> targets;
  OutputLoss<E> output;
  LossFunction<E> loss;
  OutputLoss<E>::Saved saved;
};

}  // namespace

TEST_CASE("the loss's gradients") {
  LossSubject s(11, 4, 9);
  test::GradientLaw<E>(s).check();
}

TEST_CASE("the loss's gradients over several chunks of rows") {
  LossSubject s(300, 2, 24);  // chunks of 256 rows
  test::GradientLaw<E>(s).check();
}

TEST_CASE("the gradients of a loss whose targets have weights, over several chunks of rows") {
  LossSubject s(300, 2, 24);
  std::vector<float> weights(300);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 4) / 2;
  s.targets.weights = {weights.data(), {300}};
  test::GradientLaw<E>(s).check();
}

TEST_CASE("weights of 1 and 0 are as none and as ignored targets, for any loss") {
  const LossFunction<E> sum_of_logits = [](Context<E>&, const LogitsChunk<E>& k) {
    for (index_t i = 0; i < k.targets.count(); ++i) {
      k.loss.data()[i] = 0;
      for (index_t v = 0; v < k.logits.cols(); ++v) {
        if (k.targets.data()[i] >= 0) k.loss.data()[i] += k.logits.row(i)[v];
        if (k.dlogits) k.dlogits.row(i)[v] = k.targets.data()[i] >= 0 ? k.scale : 0;
      }
    }
  };
  for (const LossFunction<E>& loss : {LossFunction<E>(CrossEntropy{}), sum_of_logits}) {
    LossSubject weighted(11, 4, 9, nullptr, loss), ignored(11, 4, 9, nullptr, loss);
    std::vector<float> weights(11, 1);
    for (const std::size_t i : {0, 4}) {
      weights[i] = 0;
      ignored.ids[0][i] = ops::ignore_index;
    }
    test::GradientLaw<E> none(ignored), with(weighted);
    CHECK(with.evaluate() != none.evaluate());
    weighted.targets.weights = {weights.data(), {11}};
    CHECK(with.evaluate() == none.evaluate());
  }
}

TEST_CASE("the gradients of a loss whose projection is another module's table") {
  Parameter<E> table;
  LossSubject s(11, 4, 9, &table);
  s.declarations.add(table, {"table", {9, 4}, Initializer::normal(1), {}, false});
  test::GradientLaw<E> law(s);
  REQUIRE(law.unit().layout().entries().size() == 2);  // the norm and the table
  law.check();
}

TEST_CASE("the gradients of a loss of the user's own") {
  // Squared distance of the target's logit from 1.
  const LossFunction<E> squared = [](Context<E>&, const LogitsChunk<E>& k) {
    for (index_t i = 0; i < k.targets.count(); ++i) {
      const std::int32_t t = k.targets.data()[i];
      const double error = t < 0 ? 0 : k.logits.row(i)[t] - 1;
      k.loss.data()[i] = error * error;
      if (!k.dlogits) continue;
      for (index_t v = 0; v < k.logits.cols(); ++v) k.dlogits.row(i)[v] = v == t ? k.scale * 2 * error : 0;
    }
  };
  LossSubject s(11, 4, 9, nullptr, squared);
  test::GradientLaw<E>(s).check();
}

TEST_CASE("the loss of even logits is log V a token that counts, and adds to the total") {
  LossSubject s(10, 3, 7);
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);  // weights are zero
  Arena<Cpu> scratch(s.memory);
  Context<E> c(s.queue, scratch);
  c.streams[0] = s.sequences;
  double total = 100;
  s.output.forward(c, s.inputs[0].view(), s.targets, s.loss, {&total, {1}}, s.saved);
  CHECK(total == Approx(100 + 8 * std::log(7.0)).epsilon(1e-13));
}

TEST_CASE("logits for generation are those that the loss is computed from") {
  LossSubject s(6, 3, 7);
  Unit<E> unit(s.declarations.take(), {}, {});
  unit.allocate(s.memory, s.queue, nullptr, nullptr);
  test::Subject<E>::fill(unit.master().data(), unit.size(), 1, 1);
  Arena<Cpu> scratch(s.memory);
  Context<E> c(s.queue, scratch);
  c.streams[0] = s.sequences;
  std::vector<double> seen;
  const LossFunction<E> look = [&](Context<E>&, const LogitsChunk<E>& k) {
    for (index_t r = 0; r < k.logits.rows(); ++r)  // rows have gaps between them
      seen.insert(seen.end(), k.logits.row(r), k.logits.row(r) + k.logits.cols());
    std::fill_n(k.loss.data(), k.loss.count(), 0);
  };
  double total = 0;
  s.output.forward(c, s.inputs[0].view(), s.targets, look, {&total, {1}}, s.saved);
  const auto logits = s.output.logits(c, s.inputs[0].view(), 4, 2);
  REQUIRE(logits.shape() == Shape{2, 7});
  for (std::size_t i = 0; i < 14; ++i) CHECK(logits.data()[i] == Approx(seen[28 + i]).epsilon(1e-14));
}
