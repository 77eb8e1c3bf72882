#include "ashlar/program/main.hpp"

#include "catch.hpp"

using namespace ashlar;

namespace {

/// The compute type that the flags pick among those of R, as it is called by people.
template <class R>
std::string picked(std::vector<std::string_view> arguments) {
  const CommandLine line = parse(arguments, "program");
  std::string name;
  detail::with_precision<R>(
      line, [&]<class T>(std::type_identity<T>) { name = std::string(detail::precision_flag(dtype_of<T>)); });
  return name;
}

}  // namespace

TEST_CASE("a flag picks any compute type that is compiled in") {
  struct All : Recipe<Precision<F32, Bf16, F64>> {};
  struct Exact : Recipe<Precision<F32, F64>> {};
  for (const char* name : {"float32", "bfloat16", "float64"})
    CHECK(picked<All>({"train", "--training.mixed_precision_param", name}) == name);
  CHECK(picked<All>({"train"}) == "bfloat16");
  CHECK(picked<All>({"evaluate"}) == "float32");
  CHECK(picked<Exact>({"train"}) == "float32");
  CHECK_THROWS_WITH(picked<Exact>({"train", "--training.mixed_precision_param", "bfloat16"}),
                    ContainsText("its recipe has float32, float64"));
}
