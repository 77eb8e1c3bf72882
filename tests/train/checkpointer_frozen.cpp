// Frozen weights in checkpoints: from a base of any layout and type, left in it or saved with the others.
#include <array>

#include "train/checkpoint_runs.hpp"

using namespace ashlar;
using namespace ashlar::test;
namespace fs = std::filesystem;

namespace {

// What is frozen on this rank is what the checkpoint has, rounded to the compute type. Throws where it is not.
template <class M>
void check_frozen(Trainer<M>& trainer, const fs::path& checkpoint, index_t& elements) {
  using T = typename M::Environment::Compute;
  OpenCheckpoint opened = open_checkpoint(checkpoint);
  for (const StateRange& range : frozen_state(trainer)) {
    std::vector<T> here(static_cast<std::size_t>(range.count));
    range.download(here.data(), range.count);
    range.layout->for_each_box(range.begin, range.begin + range.count, [&](const Box& box) {
      std::vector<float> stored(static_cast<std::size_t>(box.extent.count()));
      opened.index.read(range.name(box), {box.offset, box.extent}, DType::f32,
                        reinterpret_cast<std::byte*>(stored.data()));
      for (std::size_t i = 0; i < stored.size(); ++i)
        if (here[static_cast<std::size_t>(box.begin - range.begin) + i] != T(stored[i])) fail(range.name(box));
      elements += box.extent.count();
    });
  }
}
struct Rounded : Recipe<Family<Tiny>, Parallel<ddp * fsdp * tp * pp>, Precision<Bf16>> {};

}  // namespace

TEST_CASE("Frozen weights come from a base of any layout and type, and saves leave them in it") {
  TemporaryFolder old, folder;
  Config base = config_of(old.path(), {.shard = 2, .tensor = 2});
  base.checkpoint.last_save_model_only = true;
  base.checkpoint.export_dtype = "bfloat16";
  train<DenseModel>(base, 6);
  const auto frozen = [](Config c) {
    c.optimizer.groups = {{.names = "layers.*.w*.weight", .rule = "Frozen"},
                          {.names = "*norm.weight", .rule = "Frozen"}};
    return c;
  };
  for (const char* step : {"step-3", "step-6"}) {  // float with moments, bf16 without
    const fs::path from = old.path() / "checkpoint" / step;
    for (const Layout& layout : {Layout{}, Layout{.shard = 2, .tensor = 2}, Layout{.shard = 4},
                                 Layout{.replicate = 2, .pipeline = 2}, Layout{.tensor = 4}}) {
      INFO(step << " on " << layout.replicate << " x " << layout.shard << " x " << layout.tensor << " x "
                << layout.pipeline);
      Config c = frozen(config_of(folder.path(), layout));
      c.checkpoint.base_path = from.string();
      std::array<std::array<index_t, 2>, 4> elements{};
      CHECK_NOTHROW(LocalWorld::run(layout.ranks(), [&](Communicator world) {
        Trainer<DenseModel> trainer(c, world);
        auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
        CHECK_FALSE(Checkpointer(trainer, loader).load());
        auto& counted = elements[static_cast<std::size_t>(world.rank())];
        check_frozen(trainer, from, counted[0]);
        trainer.step(loader.next());
        check_frozen(trainer, from, counted[1]);
        Trainer<ModelOf<Rounded, Cpu, bf16>> rounded(c, world);
        auto again = rounded.loader(std::make_shared<RandomTokens>(1, 64));
        Checkpointer(rounded, again).load();
        check_frozen(rounded, from, counted[1]);
      }));
      for (int r = 0; r < layout.ranks(); ++r) CHECK(elements[static_cast<std::size_t>(r)][0] > 2000);
    }
  }

  Config c = frozen(config_of(folder.path(), {.shard = 2, .tensor = 2}));
  c.checkpoint.base_path = (old.path() / "checkpoint/step-3").string();
  train<DenseModel>(c, 3);
  const fs::path saved = folder.path() / "checkpoint/step-3";
  const Tensors trained = tensors_of(saved);
  CHECK(trained.size() == 3 * 2);  // embedding and output, each with two moments
  CHECK(read_manifest(saved).base == c.checkpoint.base_path);
  for (const Layout& layout : {Layout{}, Layout{.shard = 4}, Layout{.pipeline = 2}}) {
    Config other = frozen(config_of(folder.path(), layout));
    other.checkpoint.base_path = c.checkpoint.base_path;
    check_alike(trained, saved_again<DenseModel>(saved, other));
  }
  // Going on is as if it had never stopped.
  TemporaryFolder whole;
  Config through = c;
  through.job.dump_folder = whole.path().string();
  train<DenseModel>(through, 6);
  CHECK(train<DenseModel>(c, 6).loaded);
  check_alike(tensors_of(whole.path() / "checkpoint/step-6"), tensors_of(folder.path() / "checkpoint/step-6"));
  // To evaluate: the base's weights and its own.
  LocalWorld::run(4, [&](Communicator world) {
    Trainer<DenseModel> trainer(c, world);
    auto loader = trainer.loader(std::make_shared<RandomTokens>(1, 64));
    Checkpointer(trainer, loader).load_model();
    index_t elements = 0;
    check_frozen(trainer, c.checkpoint.base_path, elements);
  });

  c.checkpoint.base_path = "";
  CHECK(mentions(error_of([&] { train<DenseModel>(c, 6); }), "name that checkpoint with --checkpoint.base_path"));
  Config unfrozen = config_of(folder.path());
  unfrozen.checkpoint.base_path = (old.path() / "checkpoint/step-3").string();
  CHECK(mentions(error_of([&] { train<DenseModel>(unfrozen, 6); }), "this model has none"));
}

TEST_CASE("Without a base, frozen weights are saved and loaded with the others, once each") {
  TemporaryFolder folder;
  const auto frozen = [](Config c) {
    c.optimizer.groups = {{.names = "layers.0.*", .rule = "Frozen"}, {.names = "*norm.weight", .rule = "Frozen"}};
    return c;
  };
  const Config c = frozen(config_of(folder.path(), {.shard = 2, .tensor = 2}));
  train<DenseModel>(c, 3);
  const fs::path saved = folder.path() / "checkpoint/step-3";
  const Tensors all = tensors_of(saved);
  CHECK(all.size() == 2 * 9 + 3 + 2 * (7 + 2));
  std::size_t stored = 0, needed = 0;
  for (const Manifest::StoredFile& f : read_manifest(saved).files)
    for (const SafetensorsEntry& e : read_safetensors_header(File::open(saved / f.name)).entries)
      stored += e.end - e.begin;
  for (const auto& [name, bytes] : all) needed += bytes.size();
  CHECK(stored == needed);
  for (const Layout& layout : {Layout{}, Layout{.shard = 4}, Layout{.replicate = 2, .pipeline = 2}})
    check_alike(all, saved_again<DenseModel>(saved, frozen(config_of(folder.path(), layout))));
}
