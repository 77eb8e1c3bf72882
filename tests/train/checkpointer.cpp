#include "ashlar/train/checkpointer.hpp"

#include <sys/resource.h>

#include <array>
#include <csignal>
#include <cstring>
#include <thread>

#include "ashlar/comm/local.hpp"
#include "catch.hpp"
#include "train/checkpoint_runs.hpp"

using namespace ashlar;
using namespace ashlar::test;
namespace fs = std::filesystem;

namespace {

template <class M>
void check_resumed(Config (*flavor)(Config), const Layout& layout) {
  TemporaryFolder whole, parts;
  const Outcome through = train<M>(flavor(config_of(whole.path(), layout)), 6);
  const Outcome first = train<M>(flavor(config_of(parts.path(), layout)), 3);
  const Outcome second = train<M>(flavor(config_of(parts.path(), layout)), 6);
  CHECK_FALSE(first.loaded);
  CHECK(second.loaded);
  REQUIRE(second.losses.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(first.losses[i] == through.losses[i]);
    CHECK(second.losses[i] == through.losses[i + 3]);
  }
  CHECK(second.tokens == 6 * 8 * 8);
  CHECK(second.cursor == 6 * 8);
  check_alike(tensors_of(whole.path() / "checkpoint/step-6"), tensors_of(parts.path() / "checkpoint/step-6"));
  CHECK(tensors_of(whole.path() / "checkpoint/step-6") != tensors_of(whole.path() / "checkpoint/step-3"));
}
Config dense(Config c) {
  return c;
}

}  // namespace

TEST_CASE("A resumed run is the uninterrupted one, bit by bit") {
  SECTION("one rank") {
    check_resumed<DenseModel>(dense, {});
  }
  SECTION("fsdp 2 x tp 2") {
    check_resumed<DenseModel>(dense, {.shard = 2, .tensor = 2});
  }
  SECTION("replicate 2 x pp 2") {
    check_resumed<DenseModel>(dense, {.replicate = 2, .pipeline = 2});
  }
  SECTION("experts, one rank") {
    check_resumed<SparseModel>(sparse, {});
  }
  SECTION("experts, fsdp 2 x tp 2, ep 2") {
    check_resumed<SparseModel>(sparse, {.shard = 2, .tensor = 2, .expert = 2});
  }
}

TEST_CASE("A checkpoint of one layout loads on any other: the same tensors, weights, moments and buffers") {
  TemporaryFolder from;
  SECTION("dense, from fsdp 2 x tp 2") {
    train<DenseModel>(config_of(from.path(), {.shard = 2, .tensor = 2}), 3);
    const fs::path saved = from.path() / "checkpoint/step-3";
    const Tensors original = tensors_of(saved);
    CHECK(original.size() == 3 * (2 * 9 + 3));
    for (const Layout& layout :
         {Layout{}, Layout{.pipeline = 2}, Layout{.tensor = 4}, Layout{.shard = 4}, Layout{.shard = 3},
          Layout{.replicate = 2, .tensor = 2}, Layout{.replicate = 2, .shard = 2, .pipeline = 2}}) {
      INFO(layout.replicate << " x " << layout.shard << " x " << layout.tensor << " x " << layout.pipeline);
      Config c = config_of(from.path(), layout);
      if (layout.shard == 3) c.training.global_batch_size = 6;
      check_alike(original, saved_again<DenseModel>(saved, c));
    }
  }
  SECTION("dense, from one rank and from pp 2") {
    for (const Layout& layout : {Layout{}, Layout{.pipeline = 2}}) {
      TemporaryFolder folder;
      train<DenseModel>(config_of(folder.path(), layout), 3);
      const fs::path saved = folder.path() / "checkpoint/step-3";
      check_alike(tensors_of(saved), saved_again<DenseModel>(saved, config_of(from.path(), {.shard = 2, .tensor = 2})));
    }
  }
  SECTION("experts, from fsdp 4 with ep 2") {
    train<SparseModel>(sparse(config_of(from.path(), {.shard = 4, .expert = 2})), 3);
    const fs::path saved = from.path() / "checkpoint/step-3";
    const Tensors original = tensors_of(saved);
    CHECK(original.count("layers.1.moe.expert_bias") == 1);
    CHECK(original.count("optimizer.exp_avg.layers.1.moe.expert_bias") == 0);
    CHECK(original.at("layers.1.moe.expert_bias") != std::vector<std::byte>(4 * sizeof(float)));
    for (const Layout& layout : {Layout{}, Layout{.shard = 2, .tensor = 2, .expert = 4},
                                 Layout{.shard = 4, .expert = 4}, Layout{.replicate = 2, .shard = 2, .expert = 2}}) {
      INFO(layout.replicate << " x " << layout.shard << " x " << layout.tensor << ", ep " << layout.expert);
      check_alike(original, saved_again<SparseModel>(saved, sparse(config_of(from.path(), layout))));
    }
  }
}

TEST_CASE("What a checkpoint is made of") {
  TemporaryFolder folder;
  train<DenseModel>(config_of(folder.path(), {.replicate = 2, .shard = 2, .tensor = 2}), 3);
  const fs::path saved = folder.path() / "checkpoint/step-3";
  const Manifest m = read_manifest(saved);
  CHECK(m.step == 3);
  CHECK(m.tokens == 3 * 8 * 8);
  CHECK(m.cursor == 3 * 8);
  CHECK_FALSE(m.model_only);
  CHECK(m.world_size == 8);
  CHECK(m.degrees == Degrees{1, 2, 2, 1, 2, 1});
  CHECK(m.build == ASHLAR_BUILD);
  Config config;
  FieldList list = fields(config);
  read_json(list, m.config, "the manifest");
  CHECK(config.training.steps == 6);
  // The second replica has nothing of its own to write.
  REQUIRE(m.files.size() == 4);
  CHECK(m.files[3].name == "rank-00003-of-00008.safetensors");
  std::uint64_t stored = 0, needed = 0;
  for (const Manifest::StoredFile& f : m.files) {
    CHECK(f.bytes == fs::file_size(saved / f.name));
    for (const SafetensorsEntry& e : read_safetensors_header(File::open(saved / f.name)).entries)
      stored += e.end - e.begin;
  }
  for (const auto& [name, bytes] : tensors_of(saved)) needed += bytes.size();
  CHECK(stored == needed);  // nothing is written twice
  CHECK(std::distance(fs::directory_iterator(saved), fs::directory_iterator()) == 5);
}

TEST_CASE("When a checkpoint is due, and which are kept") {
  TemporaryFolder folder;
  const auto steps = [&] {
    std::vector<std::int64_t> found;
    for (const StepFolder& s : list_steps(folder.path() / "checkpoint")) found.push_back(s.step);
    return found;
  };
  Config c = config_of(folder.path());
  SECTION("multiples of the interval and the last step") {
    c.checkpoint.interval = 4;
    train<DenseModel>(c, 6);
    CHECK(steps() == std::vector<std::int64_t>{4, 6});
  }
  SECTION("the first step where asked for") {
    c.checkpoint.interval = 100;
    c.checkpoint.enable_first_step_checkpoint = true;
    train<DenseModel>(c, 3);
    CHECK(steps() == std::vector<std::int64_t>{1});
  }
  SECTION("disabled") {
    c.checkpoint.enable = false;
    CHECK_FALSE(train<DenseModel>(c, 6).loaded);
    CHECK(steps().empty());
  }
  SECTION("stopped") {
    Trainer<DenseModel> trainer(c);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    CHECK_FALSE(checkpointer.save(2, false));
    CHECK(checkpointer.save(2, false, true));
    CHECK(steps() == std::vector<std::int64_t>{2});
  }
  SECTION("the newest k stay, with the step just written and without the remains of a crash") {
    c.checkpoint.interval = 1;
    c.checkpoint.keep_latest_k = 2;
    fs::create_directories(folder.path() / "checkpoint/step-2");
    fs::create_directories(folder.path() / "checkpoint/step-07");
    fs::create_directories(folder.path() / "checkpoint/step-9");
    train<DenseModel>(c, 4);
    CHECK(steps() == std::vector<std::int64_t>{3, 4, 9});
    CHECK(fs::exists(folder.path() / "checkpoint/step-07"));
    train<DenseModel>(c, 6);
    c.checkpoint.load_step = 5;
    c.checkpoint.keep_latest_k = 0;
    train<DenseModel>(c, 6);
    CHECK(steps() == std::vector<std::int64_t>{5, 6, 9});
  }
  SECTION("k is not 1") {
    c.checkpoint.keep_latest_k = 1;
    CHECK_THROWS_AS(train<DenseModel>(c, 1), ConfigError);
  }
}

TEST_CASE("What a run starts from") {
  TemporaryFolder old, fresh;
  train<DenseModel>(config_of(old.path()), 6);
  const fs::path folder = old.path() / "checkpoint";
  const auto load = [&](const Config& c) {
    Trainer<DenseModel> trainer(c);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    const bool loaded = checkpointer.load();
    bool moments = false;
    for (const auto& unit : trainer.optimizer().rule_units()) {
      const auto view = unit.spans.front().states[0];
      for (index_t k = 0; k < view.count(); ++k) moments |= view.data()[k] != 0;
    }
    return std::tuple(loaded, trainer.step_count(), loader.cursor(), moments);
  };
  Config c = config_of(old.path());
  SECTION("its own newest complete checkpoint") {
    CHECK(load(c) == std::tuple(true, 6, 48, true));
    fs::remove(folder / "step-6/checkpoint.json");
    CHECK(load(c) == std::tuple(true, 3, 24, true));
    fs::remove(folder / "step-3/checkpoint.json");
    CHECK(load(c) == std::tuple(false, 0, 0, false));
  }
  SECTION("the step that was asked for") {
    c.checkpoint.load_step = 3;
    CHECK(load(c) == std::tuple(true, 3, 24, true));
    c.checkpoint.load_step = 4;
    CHECK(mentions(error_of([&] { load(c); }), "--checkpoint.load_step 4"));
  }
  SECTION("another's, while it has none of its own") {
    c = config_of(fresh.path());
    c.checkpoint.initial_load_path = folder.string();
    CHECK(load(c) == std::tuple(true, 0, 0, false));
    c.checkpoint.initial_load_model_only = false;
    CHECK(load(c) == std::tuple(true, 6, 48, true));
    c.checkpoint.initial_load_path = (folder / "step-3").string();
    CHECK(load(c) == std::tuple(true, 3, 24, true));
    c.checkpoint.initial_load_path = (folder / "step-4").string();
    CHECK(mentions(error_of([&] { load(c); }), "step-4"));
    c = config_of(old.path());
    c.checkpoint.initial_load_path = "nowhere";
    CHECK(load(c) == std::tuple(true, 6, 48, true));
  }
  SECTION("the step of another's that was asked for") {
    c = config_of(fresh.path());
    c.checkpoint.enable = false;
    c.checkpoint.load_step = 3;
    CHECK(mentions(error_of([&] { load(c); }), "--checkpoint.load_step"));
    c.checkpoint.initial_load_path = folder.string();
    c.checkpoint.initial_load_model_only = false;
    CHECK(load(c) == std::tuple(true, 3, 24, true));
    c.checkpoint.load_step = 5;
    CHECK(mentions(error_of([&] { load(c); }), "step-5 is not there or not complete"));
  }
  SECTION("less what is excluded") {
    c.checkpoint.exclude_from_loading = {"optimizer", "dataloader"};
    CHECK(load(c) == std::tuple(true, 6, 0, false));
    c.checkpoint.exclude_from_loading = {"train_state"};
    CHECK(load(c) == std::tuple(true, 0, 48, true));
    c.checkpoint.exclude_from_loading = {"optimiser"};
    CHECK(mentions(error_of([&] { load(c); }), "\"optimizer\""));
  }
  SECTION("never another model's") {
    Config other = sparse(c);
    other.checkpoint.load_step = 6;
    CHECK_THROWS_AS(train<SparseModel>(other, 6), Error);
    train<SparseModel>(sparse(config_of(fresh.path())), 3);
    CHECK(mentions(error_of([&] { load(config_of(fresh.path())); }), "which this model has not"));
  }
}

TEST_CASE("Bias corrections count the steps that the moments have seen, not those of the run") {
  TemporaryFolder old, folder;
  Config c = config_of(old.path());
  c.lr_scheduler.warmup_steps = 0;
  c.lr_scheduler.decay_ratio = 0.0;  // one rate for all steps
  train<DenseModel>(c, 3);
  CHECK(read_manifest(old.path() / "checkpoint/step-3").updates == 3);
  // Weights and the data's place from a checkpoint, moments anew: whether it goes on as step 4 or begins as step 1.
  const auto next_step = [&](bool goes_on) {
    Config next = c;
    next.job.dump_folder = folder.path().string();
    next.checkpoint.initial_load_path = (old.path() / "checkpoint").string();
    next.checkpoint.initial_load_model_only = false;
    next.checkpoint.exclude_from_loading = {"optimizer"};
    if (!goes_on) next.checkpoint.exclude_from_loading.push_back("train_state");
    Trainer<DenseModel> trainer(next);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    CHECK(checkpointer.load());
    trainer.step(loader.next());
    CHECK(trainer.step_count() == (goes_on ? 4 : 1));
    CHECK(trainer.update_count() == 1);
    CHECK(checkpointer.save(trainer.step_count(), false, true));
    return tensors_of(folder.path() / "checkpoint" / concat("step-", trainer.step_count()));
  };
  const Tensors going_on = next_step(true);
  CHECK(read_manifest(folder.path() / "checkpoint/step-4").updates == 1);
  std::filesystem::remove_all(folder.path() / "checkpoint");
  check_alike(going_on, next_step(false));
}

TEST_CASE("Ranks wait for one that writes or reads for longer than a step may take") {
  TemporaryFolder folder;
  Config c = config_of(folder.path());
  c.parallelism.data_parallel_replicate_degree = 2;
  LocalWorld::run(
      2,
      [&](Communicator world) {
        const Mesh mesh({.dp_replicate = 2, .dp_shard = 1}, world);
        Loader<HostBatch> loader(std::make_shared<TokenRows>(std::make_shared<RandomTokens>(1, 64), 8), 8, world.rank(),
                                 2);
        // Rank 0 owns everything, and is slow.
        std::vector<float> values(4, 1);
        StateRange range;
        range.layout = std::make_shared<const UnitLayout>(UnitLayout::of_whole("w", {4}));
        range.count = 4;
        range.owned = world.rank() == 0 ? 4 : 0;
        const auto slowly = [&](void* to, const void* from) {
          if (world.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(400));
          std::memcpy(to, from, 16);
        };
        range.download = [&](void* host, index_t) { slowly(host, values.data()); };
        range.upload = [&](const void* host, index_t) { slowly(values.data(), host); };
        Checkpointer checkpointer(
            TrainerAccess{
                c, mesh, 8, {range}, {}, {}, {}, [] { return 3; }, [] { return 3; }, [](std::int64_t, std::int64_t) {}},
            loader);
        CHECK(checkpointer.save(3, false));
        values.assign(4, 0);
        CHECK(checkpointer.load());
        CHECK(values == std::vector<float>(4, 1));
        // Afterwards it is as it was.
        if (world.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(400));
        CHECK_THROWS_AS(world.barrier(), CommError);
      },
      {std::chrono::milliseconds(100)});
}

TEST_CASE("The last save may be weights alone, in another type") {
  TemporaryFolder folder;
  Config c = config_of(folder.path(), {.shard = 2});
  c.checkpoint.last_save_model_only = true;
  c.checkpoint.export_dtype = "bfloat16";
  train<DenseModel>(c, 6);
  const fs::path saved = folder.path() / "checkpoint/step-6";
  OpenCheckpoint opened = open_checkpoint(saved);
  CHECK(opened.manifest->model_only);
  CHECK(opened.index.tensors().size() == 2 * 9 + 3);
  for (const auto& [name, tensor] : opened.index.tensors())
    for (const StoredTensor::Piece& piece : tensor.pieces) CHECK(piece.dtype == DType::bf16);
  CHECK(mentions(error_of([&] { train<DenseModel>(c, 6); }), "weights alone"));
  c.checkpoint.exclude_from_loading = {"optimizer", "dataloader", "train_state"};
  CHECK(train<DenseModel>(c, 0).loaded);
  c.checkpoint.exclude_from_loading = {};
  c.checkpoint.load_step = 3;
  CHECK(train<DenseModel>(c, 3).loaded);
}

TEST_CASE("A save that fails is an error on every rank, and leaves older checkpoints alone") {
  TemporaryFolder folder;
  const Config c = config_of(folder.path(), {.shard = 2});
  train<DenseModel>(c, 3);
  const Tensors before = tensors_of(folder.path() / "checkpoint/step-3");
  std::array<std::string, 2> errors;
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit{};
  getrlimit(RLIMIT_FSIZE, &old_limit);
  rlimit limit = old_limit;
  limit.rlim_cur = 20000;
  setrlimit(RLIMIT_FSIZE, &limit);  // as on a full disk
  LocalWorld::run(2, [&](Communicator world) {
    Trainer<DenseModel> trainer(c, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer checkpointer(trainer, loader);
    checkpointer.load();
    errors[static_cast<std::size_t>(world.rank())] = error_of([&] { checkpointer.save(6, false); });
  });
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_action);
  for (int r = 0; r < 2; ++r) {
    const std::string& error = errors[static_cast<std::size_t>(r)];
    CHECK(mentions(error, concat("rank ", r, " could not save")));
    CHECK(mentions(error, rank_file_name(r, 2)));
  }
  CHECK_FALSE(fs::exists(folder.path() / "checkpoint/step-6"));
  CHECK(newest_step(folder.path() / "checkpoint") == 3);
  check_alike(before, tensors_of(folder.path() / "checkpoint/step-3"));
}
