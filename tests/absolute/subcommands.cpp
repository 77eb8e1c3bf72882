// What the subcommands say of a model is what plain loops over its weights say: held-out losses, texts, shares of the
// peak; and what a run is told of time is what its communicator goes by.
#include <unistd.h>

#include <atomic>
#include <thread>

#include <nlohmann/json.hpp>

#include "absolute/reference_decoder.hpp"
#include "absolute/trained.hpp"
#include "ashlar/comm/local.hpp"
#include "ashlar/program/main.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;
using namespace std::chrono_literals;

namespace {

/// Reads bytes; three ids more than a text has.
struct Bytes : DecoderFamily<> {
  static constexpr std::string_view name = "bytes";
  static std::span<const Flavor<Sizes>> flavors() {
    static constexpr Flavor<Sizes> all[] = {
        {"debugmodel",
         {.dim = 16, .num_layers = 2, .num_heads = 2, .num_kv_heads = 2, .vocab_size = 260, .hidden_dim = 24}}};
    return all;
  }
};
struct Reader : Recipe<Family<Bytes>, Parallel<fsdp>, Precision<F64>> {};
using M = ModelOf<Reader, Cpu, double>;

constexpr int end_of_text = 256, window = 16;
const reference::Sizes sizes{16, 2, 2, 2, 260, 24};

/// 201 tokens with the one that ends the file: of them a quarter, 51, is held out: three whole rows.
std::string text_of_200() {
  std::string text;
  for (unsigned i = 0; i < 200; ++i) text += static_cast<char>('a' + (i * i + 3 * i) % 23);
  return text;
}

Config config_of(const TemporaryFolder& folder) {
  Config c;
  c.job.dump_folder = folder.path();
  c.training.dataset_path = folder.write("text", text_of_200());
  c.training.seq_len = window;
  c.training.local_batch_size = c.training.global_batch_size = 2;
  c.training.steps = 40;
  c.checkpoint.enable = c.validation.enable = true;
  c.validation.held_out_fraction = 0.25;
  return c;
}

/// Weights at which every part matters, and ids beyond a text's are the likeliest.
test::ByName spread(const test::ByName& weights) {
  test::ByName out = weights;
  std::uint64_t seed = 1;
  for (auto& [name, values] : out) {
    const RandomStream stream(23, seed++);
    const bool is_norm = name.find("norm") != std::string::npos;
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = (is_norm ? 1 : 0) + 0.25 * stream.normal(i);
  }
  auto& output = out.at("output.weight");
  for (std::size_t i = 257 * 16; i < output.size(); ++i) output[i] *= 4;
  return out;
}

/// Saves a checkpoint of these weights as of step 1, and returns them.
test::ByName save_weights(const Config& config) {
  Config c = config;
  c.training.steps = 1;
  Trainer<M> trainer(c);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(0, 1));
  const test::ByName weights = spread(test::weights_of(trainer));
  test::set_weights(trainer, weights);
  REQUIRE(Checkpointer(trainer, loader).save(1, true));
  return weights;
}

/// The mean loss of the first `rows` rows of the held-out quarter, side by side.
double held_out_loss(const reference::Decoder& model, int rows) {
  std::vector<int> tokens;
  for (char byte : text_of_200()) tokens.push_back(static_cast<unsigned char>(byte));
  tokens.push_back(end_of_text);
  tokens.erase(tokens.begin(), tokens.begin() + 150);
  double sum = 0;
  for (int r = 0; r < rows; ++r) {
    const auto begin = tokens.begin() + r * window;
    sum += model.loss({begin, begin + window}, {begin + 1, begin + window + 1}, std::vector<int>(window)).first;
  }
  return sum / (rows * window);
}

/// What f writes to stdout.
template <class F>
std::string output_of(F&& f) {
  const TemporaryFolder folder;
  std::fflush(stdout);
  const int before = ::dup(1);
  REQUIRE(std::freopen((folder.path() / "out").c_str(), "wb", stdout));
  try {
    f();
  } catch (...) {
    std::fflush(stdout), ::dup2(before, 1), ::close(before);
    throw;
  }
  std::fflush(stdout);
  ::dup2(before, 1);
  ::close(before);
  std::ifstream in(folder.path() / "out", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// What follows `prompt`, one choice(logits of a text's ids) after another, until the end of the text. A sequence that
/// would outgrow the window begins again with the newest half of it.
template <class Choice>
std::string continued(const reference::Decoder& model, const std::string& prompt, int tokens, Choice&& choice) {
  std::vector<int> all{end_of_text}, seen;
  for (char byte : prompt) all.push_back(static_cast<unsigned char>(byte));
  std::size_t read = 0;
  std::string text;
  for (int i = 0; i < tokens; ++i) {
    if (seen.size() + all.size() - read > window) {
      seen.clear();
      read = all.size() - window / 2;
    }
    seen.insert(seen.end(), all.begin() + static_cast<std::ptrdiff_t>(read), all.end());
    read = all.size();
    reference::Vector logits = model.logits(seen, std::vector<int>(seen.size())).back();
    logits.resize(257);
    const int next = choice(logits, i);
    if (next == end_of_text) break;
    all.push_back(next);
    text += static_cast<char>(next);
  }
  return text;
}
int likeliest(const reference::Vector& logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

/// FLOP/s of small products: the order of magnitude of what MFU goes by.
double rate_of_products() {
  constexpr index_t n = 192;
  const std::vector<double> a(n * n, 1.0);
  std::vector<double> product(n * n);
  Cpu::Queue queue;
  const TensorView<const double, Cpu> in(a.data(), {n, n});
  double best = 0;
  for (int i = 0; i < 3; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    ops::matmul<double>(queue, in, ops::Transpose::no, in, ops::Transpose::yes,
                        TensorView<double, Cpu>(product.data(), {n, n}));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    best = std::max(best, 2.0 * n * n * n / seconds);
  }
  return best;
}

std::chrono::milliseconds timeout_of(Communicator world) {
  const auto timeout = world.set_timeout(1h);
  world.set_timeout(timeout);
  return timeout;
}

}  // namespace

TEST_CASE("evaluate and validation say the loss of plain loops over the held-out rows") {
  const TemporaryFolder folder;
  const Config config = config_of(folder);
  const reference::Decoder model(sizes, save_weights(config));
  const double all = held_out_loss(model, 3);
  REQUIRE(all > 2);
  char expected[100];
  std::snprintf(expected, sizeof expected, "held-out loss %.6f nats a byte (perplexity %.4f)", all, std::exp(all));
  CHECK_THAT(output_of([&] { detail::evaluate<M>(config, {}); }), ContainsText(expected));
  // On two ranks, a row each: the last batch has one row that counts, on one of them.
  Config two = config;
  two.training.local_batch_size = 1;
  const auto evaluate = [&](Communicator world) { detail::evaluate<M>(two, world); };
  CHECK_THAT(output_of([&] { LocalWorld::run(2, evaluate); }), ContainsText(expected));

  Trainer<M> trainer(config);
  test::set_weights(trainer, model.w);
  const RunData data = open_data(config, 260);
  for (const int batches : {-1, 1, 2, 7})
    CHECK(validate(trainer, data.held_out, batches) ==
          Approx(held_out_loss(model, batches == 1 ? 2 : 3)).epsilon(1e-13));
}

TEST_CASE("generate's choices are the likeliest, or drawn from the softmax") {
  const TemporaryFolder folder;
  Config c = config_of(folder);
  reference::Decoder model(sizes, save_weights(c));
  c.generate.prompt = "prompt";
  c.generate.tokens = 40;
  c.generate.temperature = 0;
  const auto generated = [&] { return output_of([&] { detail::generate_text<M>(c); }); };
  const auto greedy = [&](const reference::Vector& logits, int) { return likeliest(logits); };
  const std::string likeliest_text = continued(model, "prompt", 40, greedy);
  REQUIRE(likeliest_text.size() > window);  // beyond the window
  CHECK(generated() == "prompt" + likeliest_text + "\n");

  // At temperature 0.5 of the five likeliest: the first whose sum of probabilities exceeds a uniform number.
  c.generate.temperature = 0.5;
  c.generate.top_k = 5;
  c.generate.seed = 3;
  const RandomStream random(3, hash_name("generate"));
  const auto drawn = [&](const reference::Vector& logits, int i) {
    reference::Vector sorted = logits, p = logits;
    std::sort(sorted.rbegin(), sorted.rend());
    double total = 0, sum = 0;
    for (double& x : p) total += x = x >= sorted[4] ? std::exp((x - sorted[0]) / 0.5) : 0;
    for (std::size_t id = 0; id < p.size(); ++id)
      if ((sum += p[id] / total) > random.uniform(static_cast<std::uint64_t>(i))) return static_cast<int>(id);
    return -1;
  };
  const std::string drawn_text = continued(model, "prompt", 40, drawn);
  CHECK(drawn_text != likeliest_text);
  CHECK(generated() == "prompt" + drawn_text + "\n");
}

TEST_CASE("generation stops where the end of a text is the likeliest") {
  const TemporaryFolder folder;
  const Config c = config_of(folder);
  reference::Decoder model(sizes, save_weights(c));
  // The end is more likely than the byte that came fourth, wherever that one is likely.
  const auto greedy = [&](const reference::Vector& logits, int) { return likeliest(logits); };
  const int fourth = static_cast<unsigned char>(continued(model, "x", 40, greedy).at(3));
  auto& output = model.w.at("output.weight");
  for (int i = 0; i < 16; ++i)
    output[static_cast<std::size_t>(256 * 16 + i)] = 1.01 * output[static_cast<std::size_t>(fourth * 16 + i)];
  const std::string expected = continued(model, "x", 40, greedy);
  REQUIRE(expected.size() <= 3);
  Trainer<M> trainer([&] {
    Config one = c;
    one.training.local_batch_size = one.training.global_batch_size = 1;
    return one;
  }());
  test::set_weights(trainer, model.w);
  std::string text;
  GenerateConfig g;
  g.prompt = "x", g.tokens = 40, g.temperature = 0;
  generate(trainer, g, ByteTokenizer(), [&](std::string_view bytes) { text += bytes; });
  CHECK(text == expected);
}

TEST_CASE("a sample is where the sum of probabilities passes a uniform number") {
  const std::vector<double> logits{std::log(2), std::log(1), std::log(4), std::log(1)};
  const RandomStream random(9, 9);
  const auto check_draws = [&](double temperature, int top_k, const std::vector<double>& sums) {
    INFO("temperature " << temperature << ", top_k " << top_k);
    int wrong = 0;
    for (std::uint64_t draw = 0; draw < 200; ++draw) {
      int expected = 0;
      while (random.uniform(draw) >= sums[static_cast<std::size_t>(expected)]) ++expected;
      wrong += sample(logits, temperature, top_k, random, draw) != expected;
    }
    CHECK(wrong == 0);
  };
  check_draws(1, 0, {2. / 8, 3. / 8, 7. / 8, 1});
  check_draws(1, 9, {2. / 8, 3. / 8, 7. / 8, 1});
  check_draws(0.5, 0, {4. / 22, 5. / 22, 21. / 22, 1});
  check_draws(1, 2, {2. / 6, 2. / 6, 1, 1});
  check_draws(2, 1, {0, 0, 1, 1});
  check_draws(0, 0, {0, 0, 1, 1});
  CHECK(sample({1, 3, 3}, 0, 0, random, 0) == 1);  // of equals the first
}

TEST_CASE("a run's log: rates by two clocks, FLOPs by formula, losses of its weights") {
  const TemporaryFolder folder;
  Config c = config_of(folder);
  c.metrics.log_freq = 5;
  c.validation.freq = 40;
  c.validation.steps = 1;
  c.lr_scheduler.warmup_steps = 2;
  output_of([&] { train_loop<M>(c, {}, [] { return false; }); });
  std::vector<nlohmann::json> lines;
  std::ifstream in(folder.path() / "metrics.jsonl");
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  REQUIRE(lines.size() == 9);  // step 1, and every fifth
  double before = 0;

  // Parameters that multiply: two layers of 4 16^2 + 3 16 24 + 2 16, the last norm, 260 rows of the output. Then 6 a
  // parameter, and of attention 12 layers heads head_dim seq_len, or half of it under the causal mask.
  const double parameters = 2 * (4 * 256 + 3 * 384 + 32) + 16 + 260 * 16;
  const double full = 6 * parameters + 12 * 2 * 16 * window, causal = 6 * parameters + 6 * 2 * 16 * window;
  REQUIRE(full == 57696);
  const double rate = rate_of_products();
  double seconds = 0;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto number = [&](const char* name) { return lines[i].at(name).get<double>(); };
    const double step = number("step");
    CHECK(step == (i == 0 ? 1 : 5 * static_cast<double>(i)));
    CHECK(number("tokens") == step * 2 * window);
    CHECK(number("mfu_causal") / number("mfu") == Approx(causal / full).epsilon(1e-12));
    const double peak = full * number("tokens_per_second") / number("mfu");
    CHECK(peak == Approx(full * lines[0].at("tokens_per_second").get<double>() / lines[0].at("mfu").get<double>()));
    CHECK(peak > rate / 20);  // another measurement of it: its order of magnitude
    CHECK(peak < rate * 20);
    if (i >= 2) seconds += (step - before) * 2 * window / number("tokens_per_second");
    before = step;
  }
  // Rates are over the time since the line before, so that together they make the time that has passed.
  const double passed = lines.back().at("elapsed_seconds").get<double>() - lines[1].at("elapsed_seconds").get<double>();
  CHECK(seconds > passed / 2);
  CHECK(seconds < passed * 2);

  Trainer<M> trainer(c);
  auto loader = trainer.loader(std::make_shared<RandomTokens>(0, 1));
  REQUIRE(Checkpointer(trainer, loader).load());
  const double loss = held_out_loss(reference::Decoder(sizes, test::weights_of(trainer)), 2);
  CHECK(lines.back().at("held_out_loss").get<double>() == Approx(loss).epsilon(1e-12));
  CHECK(lines[0].contains("held_out_loss"));
  CHECK_FALSE(lines[4].contains("held_out_loss"));
}

TEST_CASE("ranks wait for each other as long as they are told: until the first step has ended, and after it") {
  const TemporaryFolder folder;
  Config c = config_of(folder);
  c.training.local_batch_size = 1;
  c.comm.init_timeout_seconds = 41;
  c.comm.train_timeout_seconds = 1;
  std::string error;
  double waited = 0;
  std::atomic<bool> over = false;
  LocalWorld::run(2, [&](Communicator world) {
    Trainer<M> trainer(c, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 257));
    Checkpointer checkpointer(trainer, loader);
    check(timeout_of(world) == 41s, "the first step may take the initial time");
    trainer.step(loader.next());
    check(timeout_of(world) == 1s, "the others may not");
    checkpointer.save(1, true);
    check(timeout_of(world) == 1s, "saving gives the time back that it took");
    check(checkpointer.load(), "there is a checkpoint");
    check(timeout_of(world) == 1s, "loading, too");
    world.set_timeout(41s);
    trainer.step(loader.next());
    check(timeout_of(world) == 1s, "a run that goes on has a first step, too");
    if (world.rank() == 1) {
      for (int i = 0; i < 3000 && !over; ++i) std::this_thread::sleep_for(10ms);
      return;
    }
    const auto begin = std::chrono::steady_clock::now();
    try {
      trainer.step(loader.next());
    } catch (const CommError& e) {
      error = e.what();
    }
    waited = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    over = true;
  });
  CHECK_THAT(error, ContainsText("timed out after 1000 ms"));
  CHECK(waited > 0.5);  // neither at once nor by the default
  CHECK(waited < 20);
}
