#include "ashlar/data/text.hpp"

#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "catch.hpp"

using namespace ashlar;

namespace {

namespace fs = std::filesystem;

// A folder of its own, gone at the end.
struct Folder {
  Folder() {
    std::string name = (fs::temp_directory_path() / "ashlar_text_XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::runtime_error("no temporary folder");
    path = name;
  }
  ~Folder() { fs::remove_all(path); }
  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path / name, std::ios::binary) << bytes;
    return (path / name).string();
  }
  fs::path path;
};

std::vector<std::int16_t> tokens_of(const std::string& bytes) {
  std::vector<std::int16_t> out;
  for (char c : bytes) out.push_back(c == '|' ? Text::end_token : static_cast<unsigned char>(c));
  return out;
}

std::shared_ptr<Text> counting(int n) {
  auto text = std::make_shared<Text>();
  for (int i = 0; i < n; ++i) text->tokens.push_back(static_cast<std::int16_t>(i));
  return text;
}

template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const ConfigError& e) {
    return e.what();
  }
  return "no error";
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The windows of a pass, by their first token (the text counts).
std::vector<int> order(const TextRows& rows, int pass, index_t seq_len) {
  std::vector<int> out;
  std::vector<std::int32_t> row(static_cast<std::size_t>(seq_len + 1));
  for (std::int64_t r = 0; r < rows.windows(); ++r) {
    rows.read(pass * rows.windows() + r, row);
    for (std::size_t i = 0; i < row.size(); ++i) REQUIRE(row[i] == row[0] + static_cast<int>(i));
    REQUIRE(row[0] % seq_len == 0);
    out.push_back(row[0] / static_cast<int>(seq_len));
  }
  return out;
}

}  // namespace

TEST_CASE("a file becomes its bytes and an end of document") {
  const Folder f;
  CHECK(Text::read(f.write("a.txt", "hello")).tokens == tokens_of("hello|"));
  CHECK(Text::read(f.write("b.bin", std::string("\xff\0\x80", 3))).tokens ==
        std::vector<std::int16_t>{255, 0, 128, 256});
}

TEST_CASE("a folder becomes its texts in the order of names, without what is not text") {
  const Folder f;
  f.write("b", "two");
  f.write("a", "one");
  f.write("c.bin", std::string("x\0y", 3));
  f.write("empty", "");
  fs::create_directory(f.path / "sub");
  f.write("sub/d", "not read");
  fs::create_symlink(f.path / "a", f.path / "link");
  CHECK(Text::read(f.path.string()).tokens == tokens_of("one|two|"));
}

TEST_CASE("what can't be read is named") {
  const Folder f;
  CHECK(has(error_of([&] { Text::read(""); }), "--training.dataset_path"));
  const std::string missing = (f.path / "missing").string();
  CHECK(has(error_of([&] { Text::read(missing); }), missing + " is not a file or folder"));
  CHECK(has(error_of([&] { Text::read(f.path.string()); }), f.path.string() + " has no text in it"));
  CHECK(has(error_of([&] { Text::read(f.write("empty", "")); }), "has no text in it"));
}

TEST_CASE("a folder that can't be read is not taken for an empty one") {
  const Folder f;
  f.write("a", "one");
  // No file may be opened any more: unlike a folder's mode, this holds for root too.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  rlimit none = before;
  none.rlim_cur = 0;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::string error = error_of([&] { Text::read(f.path.string()); });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(has(error, f.path.string() + ": can't read the folder: "));
  CHECK(has(error, std::make_error_code(std::errc::too_many_files_open).message()));
}

TEST_CASE("what is held out is the end of the text, and is not trained on") {
  auto text = counting(100);
  const Text held = text->hold_out(0.25);
  CHECK(text->tokens.size() == 75);
  CHECK(held.tokens.size() == 25);
  CHECK(text->tokens.back() == 74);
  CHECK(held.tokens.front() == 75);
  auto all = counting(10);
  CHECK(all->hold_out(0).tokens.empty());
  CHECK(all->tokens.size() == 10);
}

TEST_CASE("every window appears once in every pass, each pass in its own order") {
  for (const int windows : {1, 2, 3, 4, 5, 16, 17, 63, 100}) {
    INFO(windows << " windows");
    const TextRows rows(counting(windows * 3 + 2), 3, 7, true);  // one token more than windows need
    REQUIRE(rows.windows() == windows);
    std::set<std::vector<int>> orders;
    for (int pass = 0; pass < 4; ++pass) {
      const auto o = order(rows, pass, 3);
      CHECK(std::set<int>(o.begin(), o.end()).size() == o.size());
      orders.insert(o);
    }
    if (windows >= 16) CHECK(orders.size() == 4);
  }
}

TEST_CASE("the order depends on the seed; without shuffling it is the text's") {
  const auto text = counting(301);
  const TextRows a(text, 3, 1, true), b(text, 3, 2, true), again(text, 3, 1, true), plain(text, 3, 1, false);
  CHECK(order(a, 0, 3) == order(again, 0, 3));
  CHECK(order(a, 0, 3) != order(b, 0, 3));
  const auto o = order(plain, 0, 3);
  CHECK(std::is_sorted(o.begin(), o.end()));
  CHECK(order(plain, 1, 3) == o);
}

TEST_CASE("a shuffle has no preference: over many passes a window comes first about equally often") {
  const TextRows rows(counting(11), 1, 3, true);
  std::map<int, int> firsts;
  std::vector<std::int32_t> row(2);
  for (int pass = 0; pass < 2000; ++pass) {
    rows.read(pass * rows.windows(), row);
    ++firsts[row[0]];
  }
  REQUIRE(firsts.size() == 10);
  for (const auto& [window, n] : firsts) {
    INFO("window " << window);
    CHECK(n > 120);  // of 200 expected, with a deviation of 13
    CHECK(n < 280);
  }
}

TEST_CASE("a text shorter than a row is refused in words") {
  CHECK(has(error_of([] { TextRows(counting(8), 8, 0, true); }), "the text has 8 tokens"));
  CHECK(TextRows(counting(9), 8, 0, true).windows() == 1);
  CHECK(has(error_of([] { TextRows(counting(0), 1, 0, true); }), "the text has 0 tokens"));
}
