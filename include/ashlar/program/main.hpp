// ashlar::main: the program of a recipe, with the subcommands train, evaluate, generate, plan, convert and
// tokenize. A convenience: everything that it does is in reach of a program of the user's own. Read next:
// program/train_loop.hpp.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdio>
#include <new>
#include <thread>

#include "ashlar/comm/local.hpp"
#include "ashlar/comm/mpi.hpp"
#include "ashlar/comm/world.hpp"
#include "ashlar/config/command_line.hpp"
#include "ashlar/data/random_tokens.hpp"
#include "ashlar/device/build_device.hpp"
#include "ashlar/device/threads.hpp"
#include "ashlar/models/debug_moe/debug_moe.hpp"
#include "ashlar/models/transformer.hpp"
#include "ashlar/nn/low_rank.hpp"
#include "ashlar/program/compare.hpp"
#include "ashlar/program/convert.hpp"
#include "ashlar/program/generate.hpp"
#include "ashlar/program/plan.hpp"
#include "ashlar/program/signals.hpp"
#include "ashlar/program/tokenize.hpp"
#include "ashlar/program/train_loop.hpp"

namespace ashlar::inline v0 {

/// The trainer of a model: TrainerOf<Transformer<MyRecipe>> with float, or another compute type.
template <class Transformer, class T = F32>
using TrainerOf = Trainer<typename Transformer::template In<T>>;

namespace detail {

inline constexpr const char* out_of_memory =
    "out of memory: the host can't give what the run asks for; lower --training.local_batch_size, "
    "--training.global_batch_size or --training.seq_len, or divide the model over more ranks (`plan` with the same "
    "flags says what a rank needs)";

constexpr std::string_view precision_flag(DType type) {
  return type == DType::bf16 ? "bfloat16" : type == DType::f64 ? "float64" : "float32";
}

/// Calls f(std::type_identity<T>) for the compiled-in type that the flag names. Not given: bfloat16 (float32 to
/// evaluate) where the recipe has it, else its first type.
template <class R, class F>
void with_precision(const CommandLine& line, F&& f) {
  std::string wanted = line.config.training.mixed_precision_param, names, first;
  const bool given = line.is_given("training.mixed_precision_param");
  if (!given && line.subcommand == Subcommand::evaluate) wanted = "float32";
  bool found = false;
  R::ComputeTypes::for_each([&]<class T>(std::type_identity<T>) {
    const std::string name(precision_flag(dtype_of<T>));
    if (first.empty()) first = name;
    found |= name == wanted;
    names += (names.empty() ? "" : ", ") + name;
  });
  if (!found && given)
    throw ConfigError(concat("--training.mixed_precision_param ", wanted,
                             " is not compiled into this binary; its recipe has ", names,
                             ". Add the type to Precision<...> and build again"));
  if (!found) wanted = first;
  R::ComputeTypes::for_each([&]<class T>(std::type_identity<T> type) {
    if (precision_flag(dtype_of<T>) == wanted) f(type);
  });
}

template <class M>
void evaluate(const Config& config, Communicator world) {
  if (config.training.dataset != "text") throw ConfigError("evaluate needs --training.dataset text");
  Config c = config;
  c.validation.enable = true;
  const RunData data = open_data(c, sizes_of<M>(c).vocab_size, world);
  Trainer<M> trainer(c, world);
  Loader loader = trainer.loader(data.train);
  Checkpointer checkpointer(trainer, loader);
  checkpointer.load_model();
  const double loss = validate(trainer, data.held_out, -1);
  if (world.rank() != 0) return;
  if (data.text) {
    std::printf("held-out loss %.6f nats a byte (perplexity %.4f); a byte bigram model of the same text has %.6f\n",
                loss, std::exp(loss), Bigram(*data.text).loss(*data.held_out_text));
  } else {
    std::printf("held-out loss %.6f nats a token (perplexity %.4f)", loss, std::exp(loss));
    const double a_byte = data.tokenizer ? loss / held_out_bytes_per_token(data, c.training.seq_len) : 0;
    if (data.tokenizer) std::printf("; %.6f nats a byte (perplexity %.4f)", a_byte, std::exp(a_byte));
    std::printf("\n");
  }
  if (const std::string note = trained_on_note(c, checkpointer.loaded_from()); !note.empty())
    std::printf("%s\n", note.c_str());
}

template <class M>
void generate_text(const Config& config) {
  Config c = config;
  c.training.local_batch_size = 1;
  c.training.global_batch_size = 1;
  Trainer<M> trainer(c);
  Loader loader = trainer.loader(std::make_shared<RandomTokens>(0, 1));
  Checkpointer(trainer, loader).load_model();
  const auto tokenizer = open_tokenizer(config.training.tokenizer);
  std::fputs(config.generate.prompt.c_str(), stdout);
  generate(trainer, config.generate, *tokenizer, [](std::string_view bytes) {
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    std::fflush(stdout);
  });
  std::fputc('\n', stdout);
}

/// What --debug.record and --debug.compare ask for. One rank makes the ranks that the degrees ask for, as threads.
template <class M>
void debug(const Config& config, Communicator world) {
  const RunData data = open_data(config, sizes_of<M>(config).vocab_size, world);
  const auto source = std::make_shared<const TokenRows>(data.train, config.training.seq_len);
  const auto body = [&](Communicator ranks) {
    take_device<typename M::Environment::Device>(ranks);
    const MakeRun make = [&](const Config& c, Communicator w) { return observe_run<M>(c, std::move(w), source); };
    if (!config.debug.record.empty()) {
      const std::int64_t steps = record_run(config, ranks, make);
      if (ranks.rank() == 0)
        std::printf("%lld steps are in %s\n", static_cast<long long>(steps), config.debug.record.c_str());
      return;
    }
    const Comparison result = compare_runs(config, ranks, make);
    if (ranks.rank() != 0) return;
    if (!result.difference.empty()) throw Error(result.difference);
    std::printf("%s\n", to_string(result).c_str());
  };
  const int ranks = compared_ranks(config);
  if (world.size() == 1 && ranks > 1)
    LocalWorld::run(ranks, body);
  else
    body(world);
}

template <class R>
void run(const CommandLine& line, Communicator world) {
  const bool all_ranks = line.subcommand == Subcommand::train || line.subcommand == Subcommand::evaluate;
  if (!all_ranks && world.size() > 1)
    throw ConfigError(concat(to_string(line.subcommand), " runs on one rank; start it without the launcher"));
  for (const char* flag : {"lora.rank", "lora.alpha", "lora.targets"})
    if (line.is_given(flag) && !R::MatrixWeights::needs_base)
      throw ConfigError(concat("--", flag, " is of adapters, and this recipe has none; add Weights<LowRank> to it"));
  if (line.subcommand == Subcommand::convert) {
    const Consolidated made = convert(line.config);
    std::printf("%s\n", made.path.string().c_str());
    return;
  }
  if (line.subcommand == Subcommand::tokenize) {
    std::printf("%s\n", tokenize(line.config.tokenize).c_str());
    return;
  }
  take_device<DeviceOf<R>>(world);
  with_precision<R>(line, [&]<class T>(std::type_identity<T>) {
    using M = ModelOf<R, DeviceOf<R>, T>;
    switch (line.subcommand) {
      case Subcommand::train: {
        if (!line.config.debug.record.empty() || !line.config.debug.compare.empty()) {
          debug<M>(line.config, world);
          break;
        }
        const StopSignals signals;
        train_loop<M>(line.config, world, [&] { return signals.requested(); });
        break;
      }
      case Subcommand::evaluate: evaluate<M>(line.config, world); break;
      case Subcommand::generate: generate_text<M>(line.config); break;
      case Subcommand::plan: {
        const Plan plan = plan_recipe<R, T>(line.config);
        std::printf("%s\n", (line.config.plan.json ? to_json(plan) : to_text(plan)).c_str());
        break;
      }
      case Subcommand::convert:
      case Subcommand::tokenize: break;
    }
  });
}

}  // namespace detail

/// Runs the command line on the recipe of Model. Returns the process's exit status: 0, also where SIGTERM or SIGINT
/// made a run end after the step at hand (with a checkpoint where checkpoint.enable is set; a launcher has a status of
/// its own); 1 after one message on stderr.
template <class Model>
int main(int argc, char** argv) {
  static_assert(
      requires { typename Model::Recipe; } && !AnyRecipe<Model>,
      "ashlar::main<Model> takes a model, as in ashlar::main<Transformer<MyRecipe>>.");
  // Ranks that fail together have time to say so before one of them ends the others.
  using namespace std::chrono_literals;
  std::optional<MpiSession> session;
  try {
    session.emplace();  // first, so that of all ranks' complaints about the command line one is heard
    const CommandLine line = parse(argc, argv);
    if (line.help.empty())
      detail::run<typename Model::Recipe>(line, session->world());
    else if (session->world().rank() == 0)
      std::fputs(line.help.c_str(), stdout);
    return 0;
  } catch (const ConfigError& error) {
    // Every rank finds the same fault in a configuration: rank 0 speaks and ends all. Who still lives after that found
    // what rank 0 did not, as a file that this machine lacks.
    const int rank = session ? session->world().rank() : 0;
    if (rank > 0) std::this_thread::sleep_for(2s);
    std::fprintf(stderr, "%s%s\n", rank > 0 ? concat("rank ", rank, ": ").c_str() : "", error.what());
  } catch (const std::exception& error) {
    const bool alone = !session || session->world().size() == 1;
    const std::string who = alone ? "" : concat("rank ", session->world().rank(), ": ");
    const bool no_memory = dynamic_cast<const std::bad_alloc*>(&error) != nullptr;
    std::fprintf(stderr, "%s%s\n", who.c_str(), no_memory ? detail::out_of_memory : error.what());
    if (!alone) std::this_thread::sleep_for(500ms);
  }
  if (session && session->world().size() > 1) session->abort(1);
  return 1;
}

}  // namespace ashlar::inline v0
