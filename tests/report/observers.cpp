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
using Trace = TensorTrace<Cpu>;

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

std::vector<std::string> names(const Trace& trace, Phase phase) {
  std::vector<std::string> out;
  for (const auto& r : trace.records())
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

TEST_CASE("a trace has every named tensor of a step, in order") {
  Run run("moe");
  Memory<Cpu> memory;
  Trace trace(memory);
  run.trainer.observe(&trace);
  run.step();
  CHECK(names(trace, Phase::forward) == std::vector<std::string>{"tok_embeddings",
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
  CHECK(names(trace, Phase::backward) == backward);
  const auto& first = trace.records().front();
  CHECK(first.shape == Shape{16, 32});
  CHECK(first.dtype == DType::f32);
  for (const auto& r : trace.records()) {
    INFO(r.name);
    CHECK(r.norm > 0);
  }
}

TEST_CASE("two runs leave equal traces, and a run that is not observed is the same run") {
  Memory<Cpu> memory;
  Trace traces[2] = {Trace(memory), Trace(memory)};
  Run a("moe"), b("moe"), alone("moe");
  a.trainer.observe(&traces[0]);
  b.trainer.observe(&traces[1]);
  for (int i = 0; i < 2; ++i) {
    a.step();
    b.step();
    alone.step();
  }
  REQUIRE(traces[0].records().size() == traces[1].records().size());
  for (std::size_t i = 0; i < traces[0].records().size(); ++i) {
    INFO(traces[0].records()[i].name);
    CHECK(traces[0].records()[i].name == traces[1].records()[i].name);
    CHECK(traces[0].records()[i].norm == traces[1].records()[i].norm);
  }
  CHECK(a.trainer.result().loss == alone.trainer.result().loss);
  CHECK(a.trainer.result().grad_norm == alone.trainer.result().grad_norm);
  CHECK(a.trainer.memory().high_water() == alone.trainer.memory().high_water());
  traces[0].clear();
  a.trainer.observe(nullptr);
  a.step();
  CHECK(traces[0].records().empty());
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
  Trace trace(memory);
  NonFiniteFinder<Cpu> finder(memory);
  const std::vector<double> apart{3, NAN, 4, NAN};
  const std::vector<bf16> narrow{bf16(3), bf16(4)};
  const std::vector<std::int32_t> whole{3, 4};
  trace.see(queue, observed(apart, {2, 1}, 2));
  trace.see(queue, observed(narrow, {1, 2}, 2));
  trace.see(queue, observed(whole, {1, 2}, 2));
  CHECK(trace.records()[0].norm == 5);
  CHECK(trace.records()[1].norm == 5);
  CHECK(trace.records()[1].dtype == DType::bf16);
  CHECK(trace.records()[2].norm == 0);
  CHECK_NOTHROW(finder.see(queue, observed(apart, {2, 1}, 2)));
  CHECK_NOTHROW(finder.see(queue, observed(whole, {1, 2}, 2)));
  const std::string error = error_of([&] { finder.see(queue, observed(apart, {2, 2}, 2)); });
  CHECK(error.find("x, F64 [2, 2], has 2 values that are not finite") == 0);
}
