#include "ashlar/report/progress.hpp"

#include <limits>
#include <memory>

#include "catch.hpp"

using namespace ashlar;

namespace {

StepMetrics example() {
  return {.step = 40,
          .loss = 2.34567,
          .grad_norm = 0.98765,
          .lr = 1e-3,
          .tokens_per_second = 123456.7,
          .peak_memory_bytes = 3 * (std::int64_t{1} << 30) + (std::int64_t{1} << 28),
          .mfu = 0.4567,
          .mfu_causal = 0.4012};
}

/// What `use` writes to a Progress.
template <class Use>
std::string written(bool is_terminal, Use use) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  REQUIRE(file);
  {
    Progress progress(file.get(), is_terminal);
    use(progress);
  }
  std::rewind(file.get());
  std::string text(4096, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

}  // namespace

TEST_CASE("the progress line") {
  StepMetrics m = example();
  const std::string line =
      "step 40/100  loss 2.3457  gradient norm 0.9877  123,457 tokens/s  MFU 45.7% (causal 40.1%)  3.25 GiB  1m30s "
      "left";
  CHECK(progress_text(m, 100, 1.5) == line);
  m.held_out_loss = 2.5;
  CHECK(progress_text(m, 100, 1.5) == line + "  held-out loss 2.5000");
  m.step = 100;
  m.loss = std::numeric_limits<double>::quiet_NaN();
  CHECK(progress_text(m, 100, 1.5).starts_with("step 100/100  loss nan  "));
  CHECK(progress_text(m, 100, 1.5).find("  0s left") != std::string::npos);
}

TEST_CASE("counts have a comma every three digits") {
  CHECK(grouped_text(0) == "0");
  CHECK(grouped_text(999) == "999");
  CHECK(grouped_text(999.6) == "1,000");
  CHECK(grouped_text(123456) == "123,456");
  CHECK(grouped_text(-1234567) == "-1,234,567");
  CHECK(grouped_text(-123) == "-123");
  CHECK(grouped_text(std::numeric_limits<double>::infinity()) == "inf");
  CHECK(grouped_text(std::numeric_limits<double>::max()).size() == 309 + 102);
}

TEST_CASE("bytes are in the largest unit that leaves one") {
  CHECK(bytes_text(0) == "0 B");
  CHECK(bytes_text(1023) == "1023 B");
  CHECK(bytes_text(1024) == "1.00 KiB");
  CHECK(bytes_text(1536) == "1.50 KiB");
  CHECK(bytes_text(std::int64_t{5} << 40) == "5.00 TiB");
}

TEST_CASE("spans of time have two units") {
  CHECK(duration_text(0) == "0s");
  CHECK(duration_text(59.4) == "59s");
  CHECK(duration_text(59.6) == "1m00s");
  CHECK(duration_text(185) == "3m05s");
  CHECK(duration_text(7620) == "2h07m");
  CHECK(duration_text(4 * 86400 + 11 * 3600) == "4d11h");
  CHECK(duration_text(-1) == "?");
  CHECK(duration_text(std::numeric_limits<double>::quiet_NaN()) == "?");
  CHECK(duration_text(std::numeric_limits<double>::infinity()) == "?");
}

TEST_CASE("in a file each report is a line") {
  const std::string line = progress_text(example(), 100, 1) + "\n";
  CHECK(written(false, [](Progress& p) {
          p.report(example(), 100, 1);
          p.note("saved");
          p.report(example(), 100, 1);
        }) == line + "saved\n" + line);
}

TEST_CASE("on a terminal a report replaces the one before; notes and held-out losses stay") {
  StepMetrics validated = example();
  validated.held_out_loss = 3.5;
  const auto shown = [](const StepMetrics& m) { return "\r\x1b[?7l" + progress_text(m, 100, 1) + "\x1b[K\x1b[?7h"; };
  CHECK(written(true, [&](Progress& p) {
          p.report(example(), 100, 1);
          p.report(example(), 100, 1);
          p.note("saved");
          p.report(validated, 100, 1);
          p.report(example(), 100, 1);
        }) == shown(example()) + shown(example()) + "\nsaved\n" + shown(validated) + "\n" + shown(example()) + "\n");
}

TEST_CASE("a file is no terminal") {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  CHECK(!Progress::writes_to_terminal(file.get()));
}
