// What the adapters of a weight are called: "layers.0.attention.wq.lora_A.weight", as in Hugging Face's PEFT. Read
// next: nn/low_rank.hpp.
#pragma once

#include <string>
#include <string_view>

namespace ashlar::inline v0 {

inline constexpr std::string_view adapter_a = ".lora_A.weight", adapter_b = ".lora_B.weight";

inline bool is_adapter(std::string_view name) {
  return name.ends_with(adapter_a) || name.ends_with(adapter_b);
}
/// The adapter, A or B, of the weight called `weight`, which ends in ".weight".
inline std::string adapter_of(std::string_view weight, std::string_view which) {
  return std::string(weight.substr(0, weight.rfind(".weight"))).append(which);
}

}  // namespace ashlar::inline v0
