#include "ashlar/checkpoint/safetensors.hpp"

#include "catch.hpp"
#include "checkpoint/temporary_folder.hpp"

using namespace ashlar;

namespace {

SafetensorsHeader parse(const std::string& text, std::uint64_t bytes = 16) {
  return parse_safetensors_header(text, bytes, "some.safetensors");
}
std::string refusal(const std::string& text, std::uint64_t bytes = 16) {
  const std::string error = error_of([&] { parse(text, bytes); });
  if (!error.empty()) CHECK(mentions(error, "some.safetensors"));
  return error;
}
std::string length_of(std::uint64_t n) {
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>(n >> (8 * i) & 0xff);
  return out;
}

}  // namespace

TEST_CASE("A header is read as it was written") {
  const std::vector<SafetensorsEntry> entries{{"b.weight", DType::f32, {2, 3}, 0, 24},
                                              {"a \"quoted\" é", DType::bf16, {}, 24, 26},
                                              {"c", DType::i64, {0, 5}, 26, 26},
                                              {"d", DType::u8, {3}, 26, 29}};
  const std::map<std::string, std::string> metadata{{"shape:b.weight", "4,3"}, {"format", "pt"}};
  const std::string bytes = format_safetensors_header(entries, metadata);
  CHECK(bytes.size() % 8 == 0);
  CHECK(length_of(bytes.size() - 8) == bytes.substr(0, 8));
  const TemporaryFolder folder;
  const File file = File::open(folder.write("x.safetensors", bytes + std::string(29, 'x')));
  const SafetensorsHeader header = read_safetensors_header(file);
  CHECK(header.data_begin == bytes.size());
  CHECK(header.metadata == metadata);
  REQUIRE(header.entries.size() == 4);
  for (const SafetensorsEntry& e : entries) {
    const auto same = std::find_if(header.entries.begin(), header.entries.end(), [&](const SafetensorsEntry& other) {
      return other.name == e.name && other.dtype == e.dtype && other.shape == e.shape && other.begin == e.begin &&
             other.end == e.end;
    });
    CHECK(same != header.entries.end());
  }
}

TEST_CASE("What other writers write is read") {
  const SafetensorsHeader header =
      parse(R"( {"w":{"shape":[2,2],"data_offsets":[0,16],"dtype":"F32"},"__metadata__":{}}    )" + 1);
  REQUIRE(header.entries.size() == 1);
  CHECK(header.entries[0].shape == Shape{2, 2});
  CHECK(parse("{}", 0).entries.empty());
}

TEST_CASE("A header that is wrong is refused in words") {
  const std::string w = R"("w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]})";
  REQUIRE(refusal("{" + w + "}").empty());
  CHECK(mentions(refusal(""), "JSON"));
  CHECK(mentions(refusal("[]"), "JSON"));
  CHECK(mentions(refusal("{" + w), "JSON"));
  CHECK(mentions(refusal("{" + w + "} x"), "JSON"));
  CHECK(mentions(refusal("{" + w + "," + w + "}"), "w"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2]}})"), "lacks"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F16","shape":[2,2],"data_offsets":[0,16]}})"), "\"F16\""));
  CHECK(mentions(refusal(R"({"w":{"dtype":4,"shape":[2,2],"data_offsets":[0,16]}})"), "tensor w"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})"), "twice"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shapes":[2,2],"data_offsets":[0,16]}})"), "\"shapes\""));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2.0],"data_offsets":[0,16]}})"), "no integer"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[-2,-2],"data_offsets":[0,16]}})"), "negative"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[[4]],"data_offsets":[0,16]}})"), "list"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[1,1,1,1,1,4],"data_offsets":[0,16]}})"), "dimensions"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,16]}})"), "24 bytes"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[16,0]}})"), "16 bytes"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16,32]}})"), "3 data_offsets"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})", 20), "belong to no tensor"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})", 12), "cut off"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[4,20]}})", 20), "gap"));
  const std::string two = R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},
                              "w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})";
  CHECK(mentions(refusal(two, 12), "those before it end"));
  // 2^32 * 2^32 * 4 wraps around to 0.
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0),
                 "no file is large enough"));
  CHECK(mentions(refusal(R"({"w":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,0]}})", 0), "w"));
  CHECK(mentions(refusal(R"({"w":[1]})"), "list"));
  CHECK(mentions(refusal(R"({"w":null})"), "null"));
  CHECK(mentions(refusal(R"({"":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})"), "no name"));
  CHECK(mentions(refusal(R"({"__metadata__":{"a":1}})", 0), "number"));
  CHECK(mentions(refusal(R"({"__metadata__":{"a":{"b":"c"}}})", 0), "object"));
  CHECK(mentions(refusal(R"({"__metadata__":{"a":"b","a":"c"}})", 0), "twice"));
  CHECK(mentions(refusal(R"({"__metadata__":{},"__metadata__":{}})", 0), "twice"));
  CHECK_FALSE(refusal(std::string(1'000'000, '[')).empty());
  CHECK_FALSE(refusal("{\"w\":" + std::string(1'000'000, '{')).empty());
}

TEST_CASE("A file that lies about its header, or was cut off, is refused before anything is allocated") {
  const TemporaryFolder folder;
  const std::string json = R"({"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}})";
  const auto refuse = [&](const std::string& content) {
    const auto path = folder.write("f.safetensors", content);
    return error_of([&] { read_safetensors_header(File::open(path)); });
  };
  const std::string good = length_of(json.size()) + json + std::string(16, 'x');
  CHECK(refuse(good).empty());
  for (std::size_t n = 0; n < good.size(); ++n) CHECK(mentions(refuse(good.substr(0, n)), "f.safetensors"));
  for (std::uint64_t n : {std::uint64_t{0}, std::uint64_t{1}, json.size() - 1, json.size() + 1, std::uint64_t{1} << 40,
                          ~std::uint64_t{0}, ~std::uint64_t{0} - 7})
    CHECK(mentions(refuse(length_of(n) + json + std::string(16, 'x')), "f.safetensors"));
  CHECK(mentions(error_of([&] { File::open(folder.path()); }), "no regular file"));
  CHECK(mentions(error_of([&] { File::open(folder.path() / "none"); }), "none"));
}
