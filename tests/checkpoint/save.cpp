#include "ashlar/checkpoint/save.hpp"

#include <sys/stat.h>

#include <array>
#include <cstring>

#include "ashlar/checkpoint/consolidate.hpp"
#include "ashlar/comm/local.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;
namespace fs = std::filesystem;

namespace {

// A unit of three parameters, laid out for `ranks` equal ranges.
std::shared_ptr<const UnitLayout> layout_of(int ranks) {
  std::vector<UnitLayout::Entry> entries;
  const auto add = [&](const char* name, const Shape& shape) {
    UnitLayout::Entry e;
    e.info.name = name;
    e.info.shape = e.local_shape = shape;
    e.local_offset = TensorBox::whole(shape).offset;
    entries.push_back(e);
  };
  add("a.weight", {5, 7});
  add("b.weight", {3, 2, 5});
  add("norm", {9});
  return std::make_shared<const UnitLayout>(std::move(entries), ranks);
}
// One rank's part, in `memory`.
StateRange range_of(std::shared_ptr<const UnitLayout> layout, int rank, std::vector<float>& memory) {
  StateRange r;
  r.count = r.owned = layout->trained().shard_size();
  r.begin = r.count * rank;
  r.layout = std::move(layout);
  memory.resize(static_cast<std::size_t>(r.count), -1);
  r.download = [&memory, r](void* host, index_t n) { std::memcpy(host, memory.data(), r.bytes(n)); };
  r.upload = [&memory, r](const void* host, index_t n) { std::memcpy(memory.data(), host, r.bytes(n)); };
  return r;
}
// Element i of the flat range is i, and padding 0.
void number(const StateRange& r, std::vector<float>& memory) {
  std::fill(memory.begin(), memory.end(), 0.0f);
  r.layout->for_each_box(r.begin, r.begin + r.count, [&](const Box& box) {
    const index_t first = r.layout->entries()[box.parameter].begin;
    for (index_t i = 0; i < box.extent.count(); ++i)
      memory[static_cast<std::size_t>(box.begin - r.begin + i)] =
          static_cast<float>(1000 * box.parameter + static_cast<std::size_t>(box.begin + i - first));
  });
}
void save(const fs::path& folder, int ranks) {
  LocalWorld::run(ranks, [&](Communicator world) {
    std::vector<float> memory;
    const StateRange r = range_of(layout_of(ranks), world.rank(), memory);
    number(r, memory);
    save_checkpoint(folder, std::array{r}, Manifest{}, world);
  });
}

}  // namespace

TEST_CASE("What any number of ranks saved, any number loads") {
  for (int savers : {1, 2, 3, 7}) {
    const TemporaryFolder folder;
    save(folder.path() / "step-1", savers);
    for (int loaders : {1, 2, 3, 5})
      for (int rank = 0; rank < loaders; ++rank) {
        OpenCheckpoint opened = open_checkpoint(folder.path());
        std::vector<float> memory, expected;
        const StateRange r = range_of(layout_of(loaders), rank, memory);
        number(r, expected = memory);
        CHECK(memory != expected);
        load_state(opened.index, std::array{r});
        CHECK(memory == expected);  // padding as well
      }
  }
}

TEST_CASE("A save over an old one of another size leaves none of its files") {
  const TemporaryFolder folder;
  save(folder.path() / "step-1", 4);
  save(folder.path() / "step-1", 2);
  CHECK(std::distance(fs::directory_iterator(folder.path() / "step-1"), fs::directory_iterator()) == 3);
  CHECK(open_checkpoint(folder.path()).index.tensors().size() == 3);
}

TEST_CASE("Where one rank fails, all do, and nothing is left") {
  const TemporaryFolder folder;
  save(folder.path() / "step-1", 2);
  std::array<std::string, 3> errors;
  const auto attempt = [&](const fs::path& path, int failing) {
    LocalWorld::run(3, [&](Communicator world) {
      std::vector<float> memory;
      StateRange r = range_of(layout_of(3), world.rank(), memory);
      if (world.rank() == failing) r.download = [](void*, index_t) { fail("the device is gone"); };
      errors[static_cast<std::size_t>(world.rank())] =
          error_of([&] { save_checkpoint(path, std::array{r}, Manifest{}, world); });
    });
  };
  attempt(folder.path() / "step-2", 1);
  CHECK(mentions(errors[1], "rank 1 could not save"));
  CHECK(mentions(errors[1], "the device is gone"));
  CHECK(mentions(errors[0], "rank 1 could not save"));
  CHECK(mentions(errors[2], "rank 1 could not save"));
  CHECK_FALSE(fs::exists(folder.path() / "step-2"));
  CHECK(newest_step(folder.path()) == 1);
  // A file stands where the folder of checkpoints should be.
  attempt(folder.write("file", "") / "step-2", -1);
  for (const std::string& error : errors) CHECK(mentions(error, "rank 0 could not save"));
}

TEST_CASE("A save begins by taking the old manifest away, and fails where it can't") {
  const TemporaryFolder folder;
  const fs::path old = folder.path() / "step-1";
  save(old, 1);
  fs::remove(old / Manifest::file_name);
  fs::create_directories(old / Manifest::file_name / "in the way");
  const auto before = fs::last_write_time(old / rank_file_name(0, 1));
  CHECK(mentions(error_of([&] { save(old, 1); }), "could not save"));
  CHECK(fs::last_write_time(old / rank_file_name(0, 1)) == before);
}

TEST_CASE("The manifest is written when all data are, not before") {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "step-1";
  std::array<int, 2> early{};
  LocalWorld::run(2, [&](Communicator world) {
    std::vector<float> memory;
    StateRange r = range_of(layout_of(2), world.rank(), memory);
    r.download = [&, download = r.download](void* host, index_t n) {
      early[static_cast<std::size_t>(world.rank())] += fs::exists(path / Manifest::file_name);
      download(host, n);
    };
    save_checkpoint(path, std::array{r}, Manifest{}, world);
  });
  CHECK(early == std::array{0, 0});
  CHECK(fs::exists(path / Manifest::file_name));
}

TEST_CASE("A folder may be relative, and lie in folders that are not there yet") {
  const TemporaryFolder folder;
  const fs::path here = fs::current_path();
  fs::current_path(folder.path());
  save("step-1", 2);
  save("a/b/step-2", 2);
  fs::current_path(here);
  CHECK(newest_step(folder.path()) == 1);
  CHECK(newest_step(folder.path() / "a/b") == 2);
}

TEST_CASE("A pipe in place of a file is refused at once") {
  const TemporaryFolder folder;
  REQUIRE(mkfifo((folder.path() / "model.safetensors").c_str(), 0600) == 0);
  CHECK(mentions(error_of([&] { File::open(folder.path() / "model.safetensors"); }), "is no regular file"));
}

TEST_CASE("A checkpoint that is damaged or lacks something is refused") {
  const TemporaryFolder folder;
  const fs::path saved = folder.path() / "step-1";
  const auto refusal = [&] {
    return error_of([&] {
      OpenCheckpoint opened = open_checkpoint(saved);
      std::vector<float> memory;
      const StateRange r = range_of(layout_of(1), 0, memory);
      check_nothing_left_over(opened.index, std::array{r}, Communicator());
      load_state(opened.index, std::array{r});
    });
  };
  save(saved, 2);
  CHECK(refusal().empty());
  const fs::path file = saved / rank_file_name(1, 2);
  fs::resize_file(file, fs::file_size(file) - 4);
  CHECK(mentions(refusal(), rank_file_name(1, 2)));
  fs::remove(file);
  CHECK(mentions(refusal(), rank_file_name(1, 2)));

  // The manifest forgets a file: the headers are fine, elements are missing.
  save(saved, 4);
  Manifest m = read_manifest(saved);
  m.files.pop_back();
  write_file_atomically(saved / Manifest::file_name, to_json(m));
  CHECK(mentions(refusal(), "no file has its elements"));

  fs::remove(saved / Manifest::file_name);
  CHECK(mentions(refusal(), "was not finished"));
  fs::remove_all(saved);
  CHECK(mentions(refusal(), "no complete checkpoint"));

  // Another model's: other shapes, more tensors.
  folder.write("w.safetensors",
               format_safetensors_header({{"a.weight", DType::f32, {7, 5}, 0, 140}}, {}) + std::string(140, 'x'));
  OpenCheckpoint opened = open_checkpoint(folder.path());
  CHECK_FALSE(opened.manifest);
  std::vector<float> memory;
  const StateRange r = range_of(layout_of(1), 0, memory);
  CHECK(mentions(error_of([&] { load_state(opened.index, std::array{r}); }),
                 "tensor a.weight is [7, 5] in the checkpoint, but [5, 7] in the model"));
  CHECK(mentions(error_of([&] { check_nothing_left_over(opened.index, {}, Communicator()); }), "a.weight"));
}

TEST_CASE("Consolidated: one file, plain names, any piece size, other types") {
  const TemporaryFolder folder;
  save(folder.path() / "step-1", 3);
  for (DType type : {DType::f32, DType::bf16, DType::f64})
    for (index_t at_once : {1, 8, 20, 1 << 24}) {
      OpenCheckpoint from = open_checkpoint(folder.path());
      const Consolidated written = consolidate(from, folder.path() / "model.safetensors", type, at_once);
      CHECK(written.tensors == 3);
      CHECK(written.bytes == fs::file_size(written.path));
      const SafetensorsHeader header = read_safetensors_header(File::open(written.path));
      CHECK(header.metadata.at("format") == "pt");
      OpenCheckpoint to = open_checkpoint(written.path);
      for (const auto& [name, tensor] : from.index.tensors()) {
        const StoredTensor& copy = to.index.find(name);
        REQUIRE(copy.pieces.size() == 1);
        CHECK(copy.shape == tensor.shape);
        CHECK(copy.pieces[0].dtype == type);
        std::vector<bf16> a(static_cast<std::size_t>(tensor.shape.count())), b = a;
        from.index.read(name, TensorBox::whole(tensor.shape), DType::bf16, reinterpret_cast<std::byte*>(a.data()));
        to.index.read(name, TensorBox::whole(tensor.shape), DType::bf16, reinterpret_cast<std::byte*>(b.data()));
        CHECK(std::memcmp(a.data(), b.data(), a.size() * sizeof(bf16)) == 0);
      }
    }
  CHECK_FALSE(fs::exists(folder.path() / "model.safetensors.partial"));
}

TEST_CASE("Consolidated: a shape that the files do not fill is refused before memory is asked for") {
  const TemporaryFolder folder;
  for (const char* shape : {"1,4611686018427387903", "1,1000000000000", "2,8"}) {
    {
      File file = File::create(folder.path() / "w.safetensors");
      const std::string header =
          format_safetensors_header({{"w@0,0", DType::f32, {1, 4}, 0, 16}}, {{"shape:w", shape}});
      file.write(header.data(), header.size());
      file.write("0123456789abcdef", 16);
      file.finish();
    }
    OpenCheckpoint from = open_checkpoint(folder.path());
    CHECK(mentions(error_of([&] { consolidate(from, folder.path() / "out/model.safetensors", DType::f32); }),
                   "but the files have 4 elements of it"));
  }
}

TEST_CASE("Consolidated: what fails leaves nothing") {
  const TemporaryFolder folder;
  save(folder.path() / "step-1", 1);
  OpenCheckpoint from = open_checkpoint(folder.path());
  const fs::path file = folder.path() / "step-1" / rank_file_name(0, 1);
  fs::resize_file(file, fs::file_size(file) - 8);
  CHECK(error_of([&] { consolidate(from, folder.path() / "model.safetensors", DType::f32); }) != "");
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);
}
