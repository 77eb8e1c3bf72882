// The second translation unit.
#include <ashlar/ashlar.hpp>

std::size_t flavors() {
  return ashlar::Llama3::flavors().size();
}
