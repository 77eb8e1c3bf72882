// The joint model on one rank: its loss against loops in double over its weights by name, and training.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "catch.hpp"
#include "models/joint_recipe.hpp"

using namespace ashlar;
using test::Images;
using test::joint_config;
using test::TinyJoint;

namespace {

using M = ModelOf<Images<Cpu>, Cpu, double>;
using Row = std::vector<double>;
using Rows = std::vector<Row>;

/// The model again, from its definition: plain loops over one image.
class Reference {
 public:
  explicit Reference(Trainer<M>& trainer) {
    for (auto* unit : trainer.stages().front()->units())
      for (const auto& e : unit->layout().entries()) {
        // Larger than they begin, so that no part of the model is too small to be seen.
        double* const w = unit->master().data() + e.begin;
        for (index_t i = 0; i < e.info.shape.count(); ++i) w[i] *= 8;
        weights_[e.info.name] = {w, w + e.info.shape.count()};
      }
  }

  double loss(const LatentBatch<HostArray>& batch, index_t r) const {
    const auto rows = [&](const std::vector<float>& all, index_t len, index_t width) {
      Rows out;
      for (index_t i = 0; i < len; ++i) {
        const auto at = all.begin() + (r * len + i) * width;
        out.emplace_back(at, at + width);
      }
      return out;
    };
    Rows x[] = {times(rows(batch.latents, batch.image_len, batch.channels), "image_in"),
                times(rows(batch.text, batch.text_len, batch.text_channels), "text_in")};
    Row features;
    for (const bool sine : {false, true})
      for (int i = 0; i < 4; ++i) {
        const double angle = 1000 * double(batch.timesteps[static_cast<std::size_t>(r)]) * std::pow(10000, -i / 4.0);
        features.push_back(sine ? std::sin(angle) : std::cos(angle));
      }
    const Row active = silu(times(silu(times(features, "time_in.w1")), "time_in.w2"));
    for (int l = 0; l < 2; ++l) double_block(x, active, "double_blocks." + std::to_string(l) + ".");
    for (int l = 0; l < 2; ++l) single_block(x, active, "single_blocks." + std::to_string(l) + ".");
    const Row m = times(active, "final_modulation");
    const Rows out = times(norm(x[0], m, 0, 1), "image_out"),
               want = rows(batch.targets, batch.image_len, batch.channels);
    double sum = 0;
    for (std::size_t i = 0; i < out.size(); ++i)
      for (std::size_t k = 0; k < out[i].size(); ++k)
        sum += (out[i][k] - want[i][k]) * (out[i][k] - want[i][k]) / double(out[i].size());
    return sum;
  }

 private:
  Row times(const Row& x, const std::string& name) const {
    const Row& w = weights_.at(name + ".weight");
    Row y(w.size() / x.size());
    for (std::size_t o = 0; o < y.size(); ++o)
      for (std::size_t i = 0; i < x.size(); ++i) y[o] += w[o * x.size() + i] * x[i];
    return y;
  }
  Rows times(const Rows& x, const std::string& name) const {
    Rows y;
    for (const Row& row : x) y.push_back(times(row, name));
    return y;
  }
  static Row silu(Row x) {
    for (double& v : x) v = v / (1 + std::exp(-v));
    return x;
  }
  static Rows norm(const Rows& x, const Row& m, std::size_t shift, std::size_t scale) {
    Rows y = x;
    for (Row& row : y) {
      const std::size_t n = row.size();
      double mean = 0, variance = 0;
      for (double v : row) mean += v / double(n);
      for (double v : row) variance += (v - mean) * (v - mean) / double(n);
      for (std::size_t i = 0; i < n; ++i)
        row[i] = (row[i] - mean) / std::sqrt(variance + 1e-6) * (1 + m[scale * n + i]) + m[shift * n + i];
    }
    return y;
  }
  static void add_gated(Rows& x, const Rows& f, const Row& m, std::size_t gate) {
    for (std::size_t r = 0; r < x.size(); ++r)
      for (std::size_t i = 0; i < x[r].size(); ++i) x[r][i] += m[gate * x[r].size() + i] * f[r][i];
  }
  Rows feed_forward(const Rows& x, const std::string& name) const {
    Rows y;
    for (const Row& row : x) {
      Row h = silu(times(row, name + "w1"));
      const Row up = times(row, name + "w3");
      for (std::size_t i = 0; i < h.size(); ++i) h[i] *= up[i];
      y.push_back(times(h, name + "w2"));
    }
    return y;
  }
  // Of 4 heads of 4 columns; every row sees every row.
  void attention(const Rows (&n)[2], Rows (&out)[2], const std::string& image, const std::string& text) const {
    const std::string names[] = {image, text};
    Rows keys, values;
    for (std::size_t s = 0; s < 2; ++s)
      for (const Row& row : n[s]) {
        keys.push_back(times(row, names[s] + "wk"));
        values.push_back(times(row, names[s] + "wv"));
      }
    for (std::size_t s = 0; s < 2; ++s)
      for (const Row& row : n[s]) {
        const Row q = times(row, names[s] + "wq");
        Row mixed(q.size());
        for (std::size_t h = 0; h < 4; ++h) {
          Row p;
          double sum = 0;
          for (const Row& k : keys) {
            double score = 0;
            for (std::size_t i = 4 * h; i < 4 * h + 4; ++i) score += q[i] * k[i] / 2;
            p.push_back(std::exp(score));
            sum += p.back();
          }
          for (std::size_t j = 0; j < values.size(); ++j)
            for (std::size_t i = 4 * h; i < 4 * h + 4; ++i) mixed[i] += p[j] / sum * values[j][i];
        }
        out[s].push_back(times(mixed, names[s] + "wo"));
      }
  }
  void double_block(Rows (&x)[2], const Row& active, const std::string& name) const {
    const std::string of[] = {name + "image.", name + "text."};
    const Row m[] = {times(active, of[0] + "modulation"), times(active, of[1] + "modulation")};
    const Rows n[] = {norm(x[0], m[0], 0, 1), norm(x[1], m[1], 0, 1)};
    Rows a[2];
    attention(n, a, name + "attention.image.", name + "attention.text.");
    for (std::size_t s = 0; s < 2; ++s) {
      add_gated(x[s], a[s], m[s], 2);
      add_gated(x[s], feed_forward(norm(x[s], m[s], 3, 4), of[s] + "feed_forward."), m[s], 5);
    }
  }
  void single_block(Rows (&x)[2], const Row& active, const std::string& name) const {
    const Row m = times(active, name + "modulation");
    const Rows n[] = {norm(x[0], m, 0, 1), norm(x[1], m, 0, 1)};
    Rows a[2];
    attention(n, a, name + "attention.both.", name + "attention.both.");
    for (std::size_t s = 0; s < 2; ++s) {
      add_gated(x[s], a[s], m, 2);
      add_gated(x[s], feed_forward(n[s], name + "feed_forward."), m, 2);
    }
  }

  std::map<std::string, Row> weights_;
};

}  // namespace

TEST_CASE("the joint model's loss is that of plain loops over its weights") {
  const Config c = joint_config();
  Trainer<M> trainer(c);
  const Reference reference(trainer);
  for (auto* unit : trainer.stages().front()->units()) unit->publish(trainer.queue());
  const auto batch = test::latents(c)->read(0, 8);
  double want = 0;
  for (index_t r = 0; r < 8; ++r) want += reference.loss(batch, r) / batch.counted();
  CHECK(trainer.evaluate(batch) == Approx(want).epsilon(1e-12));
}

TEST_CASE("training a joint model on its source lowers the loss") {
  const Config c = joint_config();
  Trainer<M> trainer(c);
  auto loader = trainer.loader(test::latents(c));
  const auto held_out = test::latents(c)->read(100000, 8);
  const double before = trainer.evaluate(held_out);
  for (int i = 0; i < 60; ++i) trainer.step(loader.next());
  CHECK(trainer.evaluate(held_out) < 0.8 * before);
}

TEST_CASE("a joint model is trained for any function of its predictions") {
  using E = M::Environment;
  const Config c = joint_config();
  Trainer<M> trainer(c), other(c);
  const auto batch = test::latents(c)->read(0, 8);
  const PredictionLoss<E> twice = [](Context<E>& context, const Prediction<E>& p) {
    Prediction<E> q = p;
    q.scale *= 2;
    MeanSquaredError{}(context, q);
    for (index_t i = 0; i < p.loss.count(); ++i) p.loss.data()[i] *= 2;
  };
  trainer.step(batch);
  other.step(batch, twice);
  const auto one = trainer.result(), two = other.result();
  CHECK(two.loss == Approx(2 * one.loss).epsilon(1e-12));
  CHECK(two.grad_norm == Approx(2 * one.grad_norm).epsilon(1e-12));
}

TEST_CASE("a source's rows are a function of their numbers") {
  const auto source = test::latents(joint_config());
  const auto all = source->read(5, 3), one = source->read(7, 1);
  CHECK(std::equal(one.latents.begin(), one.latents.end(), all.latents.end() - 24));
  CHECK(one.timesteps.front() == all.timesteps.back());
  CHECK(all.timesteps[0] != all.timesteps[1]);
}
