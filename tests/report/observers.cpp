#include "ashlar/report/observers.hpp"

#include "ashlar/moe/moe.hpp"
#include "ashlar/train/trainer.hpp"
#include "catch.hpp"
#include "tiny_family.hpp"

using namespace ashlar;

namespace {

struct Observed : Recipe<Family<Tiny>, Ffn<MoE<TopK<Sigmoid>>>> {};
using M = ModelOf<Observed, Cpu, float>;
using E = M::Environment;
using Recorder = TensorRecorder<Cpu>;

/// So many words for its width that logits are made in chunks.
struct ManyWords : DecoderFamily<> {
  static constexpr std::string_view name = "many_words";
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 8, .num_layers = 1, .num_heads = 2, .num_kv_heads = 2, .vocab_size = 128, .hidden_dim = 16}}};
    return all;
  }
};

Config config_of(std::string flavor) {
  Config c;
  c.model.flavor = std::move(flavor);
  c.training.seq_len = 8;
  c.training.local_batch_size = 2;
  c.training.steps = 10;
  return c;
}

struct Run {
  explicit Run(std::string flavor)
      : trainer(config_of(std::move(flavor))), loader(trainer.loader(std::make_shared<RandomTokens>(1, 64))) {}
  void step(const LossFunction<E>& loss = CrossEntropy{}) { trainer.step(loader.next(), loss); }
  // The value of one element of a parameter.
  float& weight(const std::string& name, index_t element) {
    for (auto& unit : trainer.stages().front()->units())
      for (const auto& e : unit->layout().entries())
        if (e.info.name == name) return unit->master().data()[e.begin + element];
    throw Error("no parameter " + name);
  }

  Trainer<M> trainer;
  Loader<HostBatch> loader;
};

std::vector<std::string> names(Recorder& recorder, Phase phase) {
  std::vector<std::string> out;
  for (const auto& r : recorder.records())
    if (r.phase == phase) out.push_back(r.name);
  return out;
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

template <class T>
ObservedTensor observed(const std::vector<T>& values, const Shape& shape, index_t stride) {
  return {"x", Phase::forward, values.data(), dtype_of<T>, shape, stride};
}

}  // namespace

TEST_CASE("a recorder has every named tensor of a step, in order") {
  Run run("moe");
  Recorder recorder;
  run.trainer.observe(&recorder);
  run.step();
  CHECK(names(recorder, Phase::forward) == std::vector<std::string>{"tok_embeddings",
                                                                    "layers.0.attention.query",
                                                                    "layers.0.attention.key",
                                                                    "layers.0.attention.value",
                                                                    "layers.0.attention.out",
                                                                    "layers.0.feed_forward.h",
                                                                    "layers.0.feed_forward.y",  //
                                                                    "layers.1.attention.query",
                                                                    "layers.1.attention.key",
                                                                    "layers.1.attention.value",
                                                                    "layers.1.attention.out",
                                                                    "layers.1.feed_forward.h",
                                                                    "layers.1.feed_forward.router.probabilities",
                                                                    "layers.1.feed_forward.combined",
                                                                    "layers.1.feed_forward.y",  //
                                                                    "layers.2.attention.query",
                                                                    "layers.2.attention.key",
                                                                    "layers.2.attention.value",
                                                                    "layers.2.attention.out",
                                                                    "layers.2.feed_forward.h",
                                                                    "layers.2.feed_forward.router.probabilities",
                                                                    "layers.2.feed_forward.combined",
                                                                    "layers.2.feed_forward.y",
                                                                    "logits"});
  std::vector<std::string> backward;
  for (const char* layer : {"layers.2", "layers.1", "layers.0"})
    for (const char* tensor : {".attention.query", ".attention.key", ".attention.value", ".attention.x"})
      backward.push_back(std::string(layer) + tensor);
  CHECK(names(recorder, Phase::backward) == backward);
  const auto& first = recorder.records().front();
  CHECK(first.whole == Shape{16, 32});
  CHECK(first.box == TensorBox::whole(first.whole));
  CHECK(first.dtype == DType::f32);
  for (const auto& r : recorder.records()) {
    INFO(r.name);
    CHECK(std::ranges::any_of(r.values, [](std::byte b) { return b != std::byte{0}; }));
    CHECK(r.values.size() == static_cast<std::size_t>(r.box.count()) * sizeof(float));
  }
}

TEST_CASE("chunks of logits lie one after another, micro-batch by micro-batch") {
  Config c = config_of("debugmodel");
  c.training.seq_len = 300;
  c.training.global_batch_size = 4;
  Trainer<ModelOf<Recipe<Family<ManyWords>>, Cpu, float>> trainer(c);
  Recorder recorder;
  trainer.observe(&recorder);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
  trainer.step(loader.next());
  index_t rows = 0;
  int chunks = 0;
  for (const auto& r : recorder.records())
    if (r.name == "logits") {
      CHECK(r.whole == Shape{1200, 128});
      CHECK(r.box.offset[0] == rows);
      rows += r.box.extent[0];
      ++chunks;
    }
  CHECK(rows == 1200);
  CHECK(chunks > 2);  // a micro-batch has several
}

TEST_CASE("two runs leave equal records, and a run that is not observed is the same run") {
  Recorder records[2];
  Run a("moe"), b("moe"), alone("moe");
  a.trainer.observe(&records[0]);
  b.trainer.observe(&records[1]);
  for (int i = 0; i < 2; ++i) {
    a.step();
    b.step();
    alone.step();
  }
  REQUIRE(records[0].records().size() == records[1].records().size());
  for (std::size_t i = 0; i < records[0].records().size(); ++i) {
    INFO(records[0].records()[i].name);
    CHECK(records[0].records()[i].name == records[1].records()[i].name);
    CHECK(records[0].records()[i].values == records[1].records()[i].values);
  }
  CHECK(a.trainer.result().loss == alone.trainer.result().loss);
  CHECK(a.trainer.result().grad_norm == alone.trainer.result().grad_norm);
  CHECK(a.trainer.memory().high_water() == alone.trainer.memory().high_water());
  records[0].clear();
  a.trainer.observe(nullptr);
  a.step();
  CHECK(records[0].records().empty());
}

TEST_CASE("the finder names the first tensor that is not finite") {
  Memory<Cpu> memory;
  NonFiniteFinder<Cpu> finder(memory);
  for (const std::string flavor : {"debugmodel", "tied"}) {
    Run run(flavor);
    run.trainer.observe(&finder);
    run.step();
    run.weight("layers.1.attention.wk.weight", 5) = NAN;
    const std::string error = error_of([&] { run.step(); });
    INFO(error);
    CHECK(error.find("layers.1.attention.key, F32 [16, ") == 0);
    CHECK(error.find("it is the first such tensor") != std::string::npos);
  }
}

TEST_CASE("the finder finds what becomes infinite in backward") {
  Memory<Cpu> memory;
  NonFiniteFinder<Cpu> finder(memory);
  Run run("moe");
  run.trainer.observe(&finder);
  const LossFunction<E> broken = [](Context<E>& c, const LogitsChunk<E>& k) {
    CrossEntropy{}(c, k);
    if (k.dlogits) k.dlogits.data()[3] = INFINITY;
  };
  const std::string error = error_of([&] { run.step(broken); });
  INFO(error);
  CHECK(error.find("layers.2.attention.query (gradient), F32 [16, 32], has ") == 0);
}

TEST_CASE("observers read rows that lie apart, and skip what is not of floating point") {
  Memory<Cpu> memory;
  Cpu::Queue queue;
  Recorder recorder;
  NonFiniteFinder<Cpu> finder(memory);
  const std::vector<double> apart{3, NAN, 4, NAN};
  const std::vector<bf16> narrow{bf16(3), bf16(4)};
  const std::vector<std::int32_t> whole{3, 4};
  recorder.see(queue, observed(apart, {2, 1}, 2));
  recorder.see(queue, observed(narrow, {1, 2}, 2));
  recorder.see(queue, observed(whole, {1, 2}, 2));
  REQUIRE(recorder.records().size() == 2);
  const auto bytes = [](const auto& values) {
    const auto raw = std::as_bytes(std::span(values));
    return std::vector<std::byte>(raw.begin(), raw.end());
  };
  CHECK(recorder.records()[0].values == bytes(std::vector<double>{3, 4}));
  CHECK(recorder.records()[1].values == bytes(narrow));
  CHECK(recorder.records()[1].dtype == DType::bf16);
  CHECK_NOTHROW(finder.see(queue, observed(apart, {2, 1}, 2)));
  CHECK_NOTHROW(finder.see(queue, observed(whole, {1, 2}, 2)));
  const std::string error = error_of([&] { finder.see(queue, observed(apart, {2, 2}, 2)); });
  CHECK(error.find("x, F64 [2, 2], has 2 values that are not finite") == 0);
}
