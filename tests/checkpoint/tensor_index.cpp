#include "ashlar/checkpoint/tensor_index.hpp"

#include <cstring>

#include "ashlar/core/random.hpp"
#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {

struct Part {
  std::string name;
  TensorBox box;
  Shape whole;
  DType dtype = DType::f32;
};

// A file whose elements are their own row-major number in the whole tensor.
std::string file_of(const std::vector<Part>& parts) {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
  std::string data;
  for (const Part& part : parts) {
    const bool whole = part.box.extent == part.whole;
    if (!whole) metadata[shape_key(part.name)] = shape_text(part.whole);
    SafetensorsEntry e{whole ? part.name : piece_name(part.name, part.box.offset), part.dtype, part.box.extent,
                       data.size(), 0};
    for_each_shared_run(TensorBox::whole(part.whole), part.box, part.box, [&](index_t from, index_t, index_t n) {
      for (index_t i = from; i < from + n; ++i) {
        const auto value = static_cast<float>(i);
        std::byte bytes[8];
        cast_elements(DType::f32, reinterpret_cast<const std::byte*>(&value), part.dtype, bytes, 1);
        data.append(reinterpret_cast<const char*>(bytes), size_of(part.dtype));
      }
    });
    e.end = data.size();
    entries.push_back(e);
  }
  return format_safetensors_header(entries, metadata) + data;
}
// Reads a box and checks each element's number.
void check_reads(TensorIndex& index, const std::string& name, const TensorBox& box) {
  const Shape shape = index.find(name).shape;
  std::vector<float> out(static_cast<std::size_t>(box.count()), -1);
  index.read(name, box, DType::f32, reinterpret_cast<std::byte*>(out.data()));
  for_each_shared_run(TensorBox::whole(shape), box, box, [&](index_t from, index_t to, index_t n) {
    for (index_t i = 0; i < n; ++i) REQUIRE(out[static_cast<std::size_t>(to + i)] == static_cast<float>(from + i));
  });
}

}  // namespace

TEST_CASE("Any box is read from whatever pieces the tensor is stored in") {
  const TemporaryFolder folder;
  const Shape w{6, 8}, v{3, 5, 4};
  TensorIndex index("the checkpoint");
  index.add(folder.write("a", file_of({{"w", {{0, 0}, {4, 3}}, w},
                                       {"w", {{0, 3}, {2, 5}}, w, DType::f64},
                                       {"u", TensorBox::whole({7}), {7}},
                                       {"v", {{0, 0, 0}, {1, 2, 4}}, v, DType::bf16},
                                       {"scalar", {}, {}}})));
  index.add(folder.write(
      "b", file_of({{"w", {{4, 0}, {2, 8}}, w}, {"v", {{0, 2, 0}, {1, 3, 4}}, v}, {"v", {{1, 0, 0}, {2, 5, 4}}, v}})));
  index.add(folder.write("c", file_of({{"w", {{2, 3}, {2, 5}}, w}})));
  CHECK(index.tensors().size() == 4);
  check_reads(index, "u", TensorBox::whole({7}));
  check_reads(index, "scalar", {});
  for (index_t a = 0; a < 6; ++a)
    for (index_t b = 0; b < 8; ++b)
      for (index_t m = 1; m <= 6 - a; ++m)
        for (index_t n = 1; n <= 8 - b; ++n) check_reads(index, "w", {{a, b}, {m, n}});
  check_reads(index, "v", TensorBox::whole(v));
  check_reads(index, "v", {{0, 1, 1}, {3, 2, 2}});
}

TEST_CASE("Pieces larger than the reading window") {
  const TemporaryFolder folder;
  const Shape w{1100, 700};  // 3 MB
  TensorIndex index("the checkpoint");
  index.add(folder.write("a", file_of({{"w", {{0, 0}, {1100, 400}}, w}})));
  index.add(folder.write("b", file_of({{"w", {{0, 400}, {1100, 300}}, w}})));
  check_reads(index, "w", TensorBox::whole(w));
  check_reads(index, "w", {{3, 17}, {1000, 1}});
  check_reads(index, "w", {{3, 0}, {1000, 400}});
}

TEST_CASE("More files than are kept open") {
  const TemporaryFolder folder;
  const Shape w{150, 4};
  TensorIndex index("the checkpoint");
  for (index_t i = 0; i < 150; ++i) index.add(folder.write(std::to_string(i), file_of({{"w", {{i, 0}, {1, 4}}, w}})));
  check_reads(index, "w", TensorBox::whole(w));
  check_reads(index, "w", {{10, 1}, {120, 2}});
}

TEST_CASE("What can't be read is refused with the tensor's name, and the box") {
  const TemporaryFolder folder;
  const Shape w{6, 8};
  std::vector<std::byte> out(1000);
  TensorIndex index("the checkpoint");
  const auto refusal = [&](const std::string& name, const TensorBox& box, DType type = DType::f32) {
    return error_of([&] { index.read(name, box, type, out.data()); });
  };
  index.add(folder.write(
      "a", file_of({{"w", {{0, 0}, {3, 8}}, w}, {"w", {{3, 0}, {3, 5}}, w}, {"twice", {{0, 0}, {4, 8}}, w}})));
  index.add(folder.write("b", file_of({{"twice", {{3, 0}, {3, 8}}, w}})));
  CHECK(refusal("w", {{0, 0}, {6, 5}}).empty());
  CHECK(mentions(refusal("w", TensorBox::whole(w)), "tensor w: no file has its elements [3:6, 5:8]"));
  CHECK(mentions(refusal("twice", TensorBox::whole(w)), "tensor twice: the elements [3:6, 0:8] are stored twice"));
  CHECK(refusal("twice", {{0, 0}, {3, 8}}).empty());
  CHECK(mentions(refusal("x", {{0, 0}, {3, 8}}), "no tensor x"));
  CHECK(mentions(refusal("w", {{0, 0}, {3, 9}}), "[6, 8]"));
  CHECK(mentions(refusal("w", {{0, 0}, {3, 8}}, DType::i32), "I32"));
  CHECK(mentions(error_of([&] {
                   index.add(folder.write("c", file_of({{"w", {{0, 0}, {3, 8}}, {6, 9}}})));
                 }),
                 "[6, 9]"));
  CHECK(mentions(error_of([&] { index.add(folder.path() / "a", 5); }), "when it was saved"));

  const auto bad = [&](const std::string& name, std::map<std::string, std::string> metadata) {
    TensorIndex other("other");
    const auto path = folder.write(
        "bad", format_safetensors_header({{name, DType::f32, {2, 2}, 0, 16}}, metadata) + std::string(16, 'x'));
    return error_of([&] { other.add(path); });
  };
  CHECK(bad("w@2,0", {{"shape:w", "4,2"}}).empty());
  CHECK(mentions(bad("w@2,0", {}), "not in the metadata"));
  CHECK(mentions(bad("w@2,0", {{"shape:w", "4,2,"}}), "not in the metadata"));
  CHECK(mentions(bad("w@2,0", {{"shape:w", "4,2,1"}}), "does not fit"));
  CHECK(mentions(bad("w@2,0", {{"shape:w", "4294967296,4294967296"}}), "not in the metadata"));
  CHECK(mentions(bad("w@3,0", {{"shape:w", "4,2"}}), "does not fit"));
  for (const char* offset : {"", "2", "2,", "2,-1", "2,+1", "2,x", "2,0 ", "2,0,0", "99999999999999999999,0"})
    CHECK_FALSE(bad(std::string("w@") + offset, {{"shape:w", "4,2"}}).empty());
}

TEST_CASE("Thousands of damaged files: an error or a right result, never a crash") {
  const TemporaryFolder folder;
  const Shape w{4, 6};
  const std::string good = file_of({{"w", {{0, 0}, {2, 6}}, w},
                                    {"w", {{2, 0}, {2, 3}}, w, DType::f64},
                                    {"w", {{2, 3}, {2, 3}}, w, DType::bf16},
                                    {"layers.0.weight", TensorBox::whole({5}), {5}}});
  std::uint64_t header = 0;
  std::memcpy(&header, good.data(), 8);
  header += 8;
  const RandomStream random(3, 4);
  std::uint64_t draws = 0;
  const auto draw = [&](std::uint64_t below) {
    return static_cast<std::uint64_t>(random.uniform(draws++) * static_cast<double>(below));
  };
  const std::string alphabet = "0123456789{}[]\",:-.e@ wFB\\u\0\xff";
  int refused = 0, read = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string damaged = good;
    for (std::uint64_t n = 1 + draw(3); n > 0; --n) {
      const auto at = static_cast<std::size_t>(draw(header));
      switch (draw(5)) {
        case 0: damaged[at] = static_cast<char>(draw(256)); break;
        case 1: damaged[at] = alphabet[static_cast<std::size_t>(draw(alphabet.size()))]; break;
        case 2: damaged.erase(at, static_cast<std::size_t>(1 + draw(8))); break;
        case 3:
          damaged.insert(at,
                         damaged.substr(static_cast<std::size_t>(draw(header)), static_cast<std::size_t>(draw(12))));
          break;
        case 4: damaged.resize(damaged.size() - static_cast<std::size_t>(draw(40))); break;
      }
      // Half of the time the length is mended, so that the damage reaches the JSON.
      if (draw(2) == 0 && damaged.size() > 8) {
        const std::uint64_t length = std::min<std::uint64_t>(header + damaged.size() - good.size(), damaged.size()) - 8;
        std::memcpy(damaged.data(), &length, 8);
      }
    }
    const auto path = folder.write("damaged", damaged);
    try {
      TensorIndex index("damaged");
      index.add(path);
      for (const auto& [name, tensor] : index.tensors()) {
        // What was accepted is no larger than the file, unless pieces are missing.
        index_t stored = 0;
        for (const StoredTensor::Piece& piece : tensor.pieces) stored += piece.box.count();
        if (stored > 10'000) FAIL("a file of a few hundred bytes has " << stored << " elements");
        if (tensor.shape.count() != stored) continue;
        std::vector<std::byte> out(static_cast<std::size_t>(stored) * 8);
        index.read(name, TensorBox::whole(tensor.shape), DType::f64, out.data());
      }
      ++read;
    } catch (const Error& error) {
      ++refused;
      if (!mentions(error.what(), "damaged")) FAIL("no file is named: " << error.what());
    }
  }
  CHECK(refused > 2000);
  CHECK(read > 20);
}
