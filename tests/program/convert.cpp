#include "ashlar/program/convert.hpp"

#include <array>

#include "ashlar/checkpoint/save.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

TEST_CASE("convert takes the weights of the newest checkpoint, or of the one that is named") {
  const TemporaryFolder from, to;
  UnitLayout::Entry e;
  e.info.name = "w";
  e.info.shape = e.local_shape = {2, 2};
  e.local_offset = {0, 0};
  for (int step : {1, 2}) {
    StateRange model;
    model.layout = std::make_shared<const UnitLayout>(std::vector{e}, 1);
    model.count = model.owned = model.layout->size();
    model.download = [step](void* host, index_t n) {
      std::fill_n(static_cast<float*>(host), n, static_cast<float>(step));
    };
    StateRange moment = model;
    moment.prefix = "optimizer.exp_avg.";
    save_checkpoint(step_folder(from.path() / "checkpoint", step), std::array{model, moment}, Manifest{},
                    Communicator());
  }
  const auto first_value = [](const std::filesystem::path& file) {
    OpenCheckpoint opened = open_checkpoint(file);
    CHECK(opened.index.tensors().size() == 1);
    float value = 0;
    opened.index.read("w", {{1, 1}, {1, 1}}, DType::f32, reinterpret_cast<std::byte*>(&value));
    return value;
  };
  Config c;
  c.job.dump_folder = (to.path() / "new/folder").string();
  c.checkpoint.initial_load_path = (from.path() / "checkpoint").string();
  CHECK(convert(c).path == to.path() / "new/folder/model.safetensors");
  CHECK(first_value(to.path() / "new/folder/model.safetensors") == 2);
  c.checkpoint.load_step = 1;
  CHECK(first_value(convert(c).path) == 1);
  c.checkpoint.load_step = 3;
  CHECK_THROWS_WITH(convert(c), ContainsText("step-3 is not there") && ContainsText("--checkpoint.load_step"));
  c.checkpoint.load_step = -1;
  c.checkpoint.initial_load_path += "/step-1";
  c.checkpoint.export_dtype = "bfloat16";
  const Consolidated written = convert(c);
  CHECK(first_value(written.path) == 1);
  CHECK(open_checkpoint(written.path).index.find("w").pieces[0].dtype == DType::bf16);

  c.checkpoint.initial_load_path = "";
  CHECK_THROWS_AS(convert(c), ConfigError);
  c.job.dump_folder = from.path().string();
  CHECK(first_value(convert(c).path) == 2);
  c.checkpoint.load_step = 1;
  CHECK(first_value(convert(c).path) == 1);
  c.checkpoint.load_step = 3;
  CHECK_THROWS_AS(convert(c), ConfigError);
}
