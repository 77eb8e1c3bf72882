// Goldens: small random models of a family with the logits, the loss and the gradients that PyTorch makes of them, from
// models/*.safetensors (written by models.py). check_goldens<Family>(...) holds a family to all of its files.
#pragma once

#include <cmath>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absolute/trained.hpp"
#include "ashlar/checkpoint/safetensors.hpp"
#include "ashlar/models/transformer.hpp"
#include "catch.hpp"

namespace ashlar::test {

struct GoldenFile {
  std::map<std::string, std::string> sizes;  // by the library's names
  ByName tensors;
  Shape tokens;  // [B, S]
};

inline GoldenFile read_golden(const std::filesystem::path& path) {
  const File file = File::open(path);
  const SafetensorsHeader header = read_safetensors_header(file);
  GoldenFile out;
  out.sizes = header.metadata;
  for (const auto& e : header.entries) {
    std::vector<char> bytes(e.end - e.begin);
    file.read(header.data_begin + e.begin, bytes.data(), bytes.size());
    std::vector<double>& values = out.tensors[e.name];
    const auto convert = [&]<class T>(T) {
      for (std::size_t i = 0; i < bytes.size() / sizeof(T); ++i) {
        T x;
        std::memcpy(&x, bytes.data() + i * sizeof(T), sizeof(T));
        values.push_back(static_cast<double>(x));
      }
    };
    if (e.dtype == DType::bf16)
      for (std::size_t i = 0; i < bytes.size() / 2; ++i) {
        bf16 x;
        std::memcpy(&x, bytes.data() + 2 * i, 2);
        values.push_back(static_cast<double>(static_cast<float>(x)));
      }
    else if (e.dtype == DType::f32)
      convert(float());
    else
      convert(std::int32_t());
    if (e.name == "tokens") out.tokens = e.shape;
  }
  return out;
}

/// The sizes that a file names, all of them.
template <class Sizes>
Sizes sizes_in(const std::map<std::string, std::string>& named) {
  Sizes s;
  std::size_t used = 1;  // "family"
  const auto take = [&](const char* name, auto& field) {
    const auto found = named.find(name);
    if (found == named.end()) return;
    field = static_cast<std::remove_reference_t<decltype(field)>>(std::stod(found->second));
    ++used;
  };
#define ASHLAR_TAKE(name) take(#name, s.name)
  ASHLAR_TAKE(dim), ASHLAR_TAKE(num_layers), ASHLAR_TAKE(num_heads), ASHLAR_TAKE(num_kv_heads);
  ASHLAR_TAKE(vocab_size), ASHLAR_TAKE(hidden_dim), ASHLAR_TAKE(norm_eps), ASHLAR_TAKE(rope_theta);
  ASHLAR_TAKE(tied), ASHLAR_TAKE(num_dense_layers), ASHLAR_TAKE(head_dim);
#undef ASHLAR_TAKE
  take("num_experts", s.moe.num_experts);
  take("top_k", s.moe.top_k);
  take("expert_hidden", s.moe.hidden_dim);
  take("num_shared_experts", s.moe.num_shared_experts);
  take("route_norm", s.moe.route_norm);
  take("route_scale", s.moe.route_scale);
  take("load_balance_coeff", s.moe.load_balance_coeff);
  take("num_groups", s.moe.num_groups);
  take("group_limit", s.moe.group_limit);
  take("group_best", s.moe.group_best);
  take("score_before_experts", s.moe.score_before_experts);
  take("balance_loss_coeff", s.moe.balance_loss_coeff);
  s.moe.balance_sequences = false;  // transformers has that of the batch alone
  if (const auto kind = named.find("rope_scaling"); kind != named.end()) {
    s.rope_scaling.kind = kind->second == "yarn" ? RopeScaling::Kind::yarn : RopeScaling::Kind::llama3;
    ++used;
    take("factor", s.rope_scaling.factor);
    take("original_len", s.rope_scaling.original_len);
    take("low_frequency", s.rope_scaling.low_frequency);
    take("high_frequency", s.rope_scaling.high_frequency);
    take("beta_fast", s.rope_scaling.beta_fast);
    take("beta_slow", s.rope_scaling.beta_slow);
    take("mscale", s.rope_scaling.mscale);
    take("mscale_all_dim", s.rope_scaling.mscale_all_dim);
  }
  if constexpr (requires { s.key_value_rank; }) {
    take("query_rank", s.query_rank);
    take("key_value_rank", s.key_value_rank);
    take("nope_dim", s.nope_dim);
    take("rope_dim", s.rope_dim);
    take("value_dim", s.value_dim);
    take("sigmoid_scores", s.sigmoid_scores);
  }
  if constexpr (requires { s.attention_chunk; }) {
    take("moe_interval", s.moe_interval);
    take("global_interval", s.global_interval);
    take("attention_chunk", s.attention_chunk);
    take("length_norm", s.length_norm);
    take("query_scale", s.query_scale);
    take("query_scale_interval", s.query_scale_interval);
  }
  CHECK(used == named.size());
  return s;
}

/// Keeps the logits that pass by.
struct LogitsObserver final : Observer<Cpu> {
  void see(Cpu::Queue&, const ObservedTensor& t) override {
    if (t.name != "logits" || t.phase != Phase::forward) return;
    for (index_t r = 0; r < t.shape[0]; ++r) {
      const float* const row = static_cast<const float*>(t.data) + r * t.row_stride;
      logits.insert(logits.end(), row, row + t.shape[1]);
    }
  }
  std::vector<double> logits;
};

/// The norm of the difference over the norm; of a tensor that should be 0, the norm.
inline double relative(const std::vector<double>& got, const std::vector<double>& want) {
  if (got.size() != want.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

template <class F>
struct OfGolden : F {
  using Sizes = typename F::Sizes;
  static inline std::vector<Flavor<Sizes>> loaded;
  static std::span<const Flavor<Sizes>> flavors() { return loaded; }
};
template <class F>
struct GoldenRecipe : Recipe<Family<OfGolden<F>>> {};

/// `names`: the files of F, all that begin with its name.
template <class F>
void check_goldens(const std::vector<std::string>& names) {
  const auto folder = std::filesystem::path(__FILE__).parent_path() / "models";
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files += entry.path().filename().string().starts_with(F::name) ? 1 : 0;
  CHECK(files == names.size());
  for (const std::string& name : names) {
    INFO(F::name << "_" << name);
    const GoldenFile golden = read_golden(folder / concat(F::name, "_", name, ".safetensors"));
    OfGolden<F>::loaded = {{"golden", sizes_in<typename F::Sizes>(golden.sizes)}};
    Config config;
    config.model.flavor = "golden";
    config.training.seq_len = golden.tokens[1];
    config.training.local_batch_size = static_cast<int>(golden.tokens[0]);
    config.training.steps = 10;
    config.optimizer.lr = 1e-3;
    config.lr_scheduler.warmup_steps = 0;
    config.lr_scheduler.decay_ratio = 0;
    Trainer<ModelOf<GoldenRecipe<F>, Cpu, float>> trainer(config);

    ByName weights;
    for (const auto& [key, values] : golden.tensors)
      if (key.starts_with("weight.")) weights[key.substr(7)] = values;
    for (const auto& [key, values] : weights_of(trainer)) {
      INFO(key);
      REQUIRE(weights.contains(key));
      REQUIRE(weights[key].size() == values.size());
    }
    set_weights(trainer, weights);
    std::size_t buffers = 0;
    for (const auto& buffer : trainer.stages()[0]->buffers()) {
      REQUIRE(weights.contains(buffer.name));
      std::copy(weights[buffer.name].begin(), weights[buffer.name].end(), buffer.values.data());
      ++buffers;
    }
    REQUIRE(weights.size() == weights_of(trainer).size() + buffers);

    HostBatch batch = trainer.empty_batch();
    for (double t : golden.tensors.at("tokens")) batch.tokens.push_back(static_cast<std::int32_t>(t));
    for (double t : golden.tensors.at("labels")) batch.targets.push_back(static_cast<std::int32_t>(t));
    batch.document_start.assign(batch.tokens.size(), 0);
    LogitsObserver observer;
    trainer.observe(&observer);
    trainer.step(batch);
    trainer.observe(nullptr);
    CHECK(relative({trainer.result().loss}, golden.tensors.at("loss")) < 1e-6);
    CHECK(relative(observer.logits, golden.tensors.at("logits")) < 1e-5);
    for (const auto& [key, gradient] : gradients_of(trainer)) {
      INFO(key);
      CHECK(relative(gradient, golden.tensors.at("grad." + key)) < 1e-5);
    }
    const std::vector<double>& losses = golden.tensors.at("losses");
    REQUIRE(losses.size() == 10);
    CHECK(std::abs(losses[9] / losses[0] - 1) > 1e-2);  // it has learnt something
    for (std::size_t i = 1; i < losses.size(); ++i) {
      trainer.step(batch);
      CHECK(relative({trainer.result().loss}, {losses[i]}) < 1e-4);
    }
  }
}

}  // namespace ashlar::test
