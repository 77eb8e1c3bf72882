// Definitions of reduce.hpp: included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include "ashlar/comm/reduce.hpp"

namespace ashlar::inline v0::detail {

ASHLAR_ONCE void reduce_in_order(std::span<const void* const> sources, void* target, index_t count, DType type,
                                 Reduce op) {
  with_dtype(type, [&]<class T>(T) {
    std::vector<const T*> typed;
    for (const void* source : sources) typed.push_back(static_cast<const T*>(source));
    reduce_in_order<T>(typed, static_cast<T*>(target), count, op);
  });
}

}  // namespace ashlar::inline v0::detail
