// Uses a type of the library and a function of the other translation unit.
#include <ashlar/ashlar.hpp>
#include <cstdio>

using namespace ashlar;

std::size_t flavors();

int main() {
  Memory<Cpu> memory;
  const Tensor<float, Cpu> x(memory, {2, 3});
  std::printf("%d flavors, %d elements\n", static_cast<int>(flavors()), static_cast<int>(x.view().count()));
  return flavors() > 0 && x.view().count() == 6 ? 0 : 1;
}
