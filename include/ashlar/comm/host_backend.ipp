// Definitions of host_backend.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/comm/host_backend.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE std::shared_ptr<HostBackend> HostBackend::split_by_color(int color, int key, std::string name) {
  struct Choice {
    std::int32_t color, key;
  };
  static_assert(sizeof(Choice) == 2 * size_of(DType::i32));
  std::vector<Choice> choices(static_cast<std::size_t>(size()));
  const Choice mine{color, key};
  Cpu::Queue here;
  all_gather(AnyQueue(here), &mine, choices.data(), 2, DType::i32).wait(here);
  if (color < 0) return nullptr;
  std::vector<int> members;
  for (int r = 0; r < size(); ++r)
    if (choices[static_cast<std::size_t>(r)].color == color) members.push_back(r);
  std::ranges::stable_sort(members, {}, [&](int r) { return choices[static_cast<std::size_t>(r)].key; });
  return group(members, std::move(name));
}

ASHLAR_ONCE Request HostBackend::all_reduce_packed(AnyQueue queue, std::span<const Buffer> buffers, Reduce op) {
  auto all = std::make_shared<detail::SeveralRequests>();
  for (std::size_t first = 0, end; first < buffers.size(); first = end) {
    const DType type = buffers[first].type;
    for (end = first; end < buffers.size() && buffers[end].type == type;) ++end;
    auto part = std::make_shared<detail::PackedReduction>(buffers.subspan(first, end - first));
    part->whole = all_reduce(queue, part->data(), part->count(), type, op);
    all->parts.push_back(Request(std::move(part), queue));
  }
  return Request(std::move(all), queue);
}

}  // namespace ashlar::inline v0
