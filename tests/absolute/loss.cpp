// The loss and the gradients of small models are what plain loops over their weights by name say.
#include "absolute/reference_decoder.hpp"
#include "absolute/trained.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

template <class Kind>
struct Dense : Recipe<Family<Tiny>, Attn<Kind>, Precision<F64>> {};
struct Mixture : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>, Precision<F64>> {};

Config config_of(const char* flavor) {
  Config c;
  c.model.flavor = flavor;
  c.training.seq_len = 9;
  c.training.local_batch_size = 2;
  return c;
}

/// Two rows with documents and targets that do not count.
HostBatch batch_of() {
  HostBatch b{2, 9, {}, {}, {}};
  for (int i = 0; i < 18; ++i) {
    b.tokens.push_back((i * 7 + 3) % 64);
    b.targets.push_back(i % 5 == 4 ? -100 : (i * 11 + 1) % 64);
    b.document_start.push_back(i < 9 ? (i < 4 ? 0 : 4) : (i < 16 ? 0 : 7));
  }
  return b;
}

double mean_loss(const reference::Decoder& model, const HostBatch& b) {
  double sum = 0;
  int counted = 0;
  for (index_t r = 0; r < b.rows; ++r) {
    const auto [loss, n] = model.loss(test::row_of(b.tokens, r, b.seq_len), test::row_of(b.targets, r, b.seq_len),
                                      test::row_of(b.document_start, r, b.seq_len));
    sum += loss;
    counted += n;
  }
  return sum / counted;
}

/// Weights of a size at which every part matters: initial ones are small.
test::ByName spread(const test::ByName& weights) {
  test::ByName out = weights;
  std::uint64_t seed = 1;
  for (auto& [name, values] : out) {
    const RandomStream stream(17, seed++);
    const bool is_norm = name.find("norm") != std::string::npos;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (is_norm ? 1 : 0) + 0.3 * stream.normal(i);
  }
  return out;
}

template <class R>
void check_model(const char* flavor, const reference::Sizes& sizes) {
  Trainer<ModelOf<R, Cpu, double>> trainer(config_of(flavor));
  test::set_weights(trainer, spread(test::weights_of(trainer)));
  const HostBatch batch = batch_of();
  reference::Decoder model(sizes, test::weights_of(trainer));
  const double want = mean_loss(model, batch);
  REQUIRE(want > 1);
  CHECK(trainer.evaluate(batch) == Approx(want).epsilon(1e-13));
  trainer.step(batch);
  CHECK(trainer.result().loss == Approx(want).epsilon(1e-13));

  // Gradients by central differences of the loops, a few elements of each tensor.
  double squares = 0;
  for (const auto& [name, gradient] : test::gradients_of(trainer)) {
    for (double g : gradient) squares += g * g;
    double largest = 0;
    for (double g : gradient) largest = std::max(largest, std::abs(g));
    for (const std::size_t i : {std::size_t{0}, gradient.size() / 3, gradient.size() - 1}) {
      INFO(name << ", element " << i);
      double& x = model.w[name][i];
      const double before = x, h = 1e-4;
      const auto at = [&](double offset) {
        x = before + offset;
        return mean_loss(model, batch);
      };
      const double difference = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      x = before;
      CHECK(std::abs(gradient[i] - difference) < 1e-8 * (1 + largest));
    }
  }
  CHECK(trainer.result().grad_norm == Approx(std::sqrt(squares)).epsilon(1e-12));
}

}  // namespace

TEST_CASE("the dense model's loss and gradients are those of plain loops over its weights") {
  check_model<Dense<Sdpa>>("debugmodel", {32, 2, 4, 4, 64, 48});
}

TEST_CASE("so are those of a model with grouped heads, a tied table and documents") {
  reference::Sizes sizes{32, 2, 4, 2, 64, 48};
  sizes.tied = sizes.documents = true;
  check_model<Dense<Flex<BlockCausal>>>("tied", sizes);
}

TEST_CASE("so are those of a mixture of experts") {
  reference::Sizes sizes{32, 3, 4, 4, 64, 48};
  sizes.first_expert_layer = 1;
  sizes.experts = 4;
  sizes.top_k = 2;
  sizes.expert_hidden = 16;
  sizes.shared = 1;
  check_model<Mixture>("moe", sizes);
}

TEST_CASE("what is evaluated is not counted by the routers, whose biases follow what is trained on") {
  const auto biases_after = [](bool evaluates) {
    Trainer<ModelOf<Mixture, Cpu, double>> trainer(config_of("moe"));
    test::set_weights(trainer, spread(test::weights_of(trainer)));
    HostBatch other = batch_of();
    for (auto& token : other.tokens) token = 5;  // all to two experts
    for (int i = 0; evaluates && i < 3; ++i) trainer.evaluate(other);
    trainer.step(batch_of());
    std::vector<double> biases;
    for (const auto& buffer : trainer.stages()[0]->buffers())
      biases.insert(biases.end(), buffer.values.data(), buffer.values.data() + buffer.values.count());
    return biases;
  };
  const std::vector<double> biases = biases_after(false);
  REQUIRE(biases.size() == 8);
  CHECK(*std::max_element(biases.begin(), biases.end()) > 0);
  CHECK(biases_after(true) == biases);
}
