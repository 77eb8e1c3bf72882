// Matrix product by oneDNN: float by its sgemm, bf16 by its matmul primitive.
#pragma once

#include "ashlar/core/platform.hpp"

#if ASHLAR_WITH_ONEDNN

#include <algorithm>
#include <type_traits>
#include <vector>

#include <dnnl.hpp>

#include "ashlar/core/dtype.hpp"
#include "ashlar/core/error.hpp"
#include "ashlar/ops/matmul/product.hpp"

namespace ashlar::inline v0::ops::cpu {

namespace detail {

/// What a matmul primitive is compiled for.
struct OnednnKey {
  index_t m, n, k, lda, ldb, ldc;
  bool transpose_a, transpose_b, float_result;
  float beta;
  friend bool operator==(const OnednnKey&, const OnednnKey&) = default;
};

struct OnednnMatmul {
  OnednnKey key;
  dnnl::memory::desc a, b, c;
  dnnl::matmul primitive;
};

inline const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

inline OnednnMatmul onednn_compile(const OnednnKey& key) {
  using Desc = dnnl::memory::desc;
  using Type = dnnl::memory::data_type;
  const auto matrix = [](index_t rows, index_t cols, index_t ld, bool transposed, Type type) {
    return Desc({rows, cols}, type, transposed ? dnnl::memory::dims{1, ld} : dnnl::memory::dims{ld, 1});
  };
  const Desc a = matrix(key.m, key.k, key.lda, key.transpose_a, Type::bf16);
  const Desc b = matrix(key.k, key.n, key.ldb, key.transpose_b, Type::bf16);
  const Desc c = matrix(key.m, key.n, key.ldc, false, key.float_result ? Type::f32 : Type::bf16);
  dnnl::primitive_attr attributes;
  if (key.beta != 0) {
    dnnl::post_ops after;
    after.append_sum(key.beta);
    attributes.set_post_ops(after);
  }
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(onednn_engine(), a, b, c, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(a, b, c), attributes, onednn_engine());
#endif
  return {key, a, b, c, dnnl::matmul(description)};
}

/// Whether oneDNN has a bf16 product for this processor; without AVX-512 it has none.
inline bool onednn_multiplies_bf16() {
  static const bool able = [] {
    try {
      onednn_compile({16, 16, 16, 16, 16, 16, false, false, true, 0});
      return true;
    } catch (const dnnl::error&) {
      return false;
    }
  }();
  return able;
}

/// The primitive for `key`. Each thread remembers the last ones it used, because compiling one takes longer than most
/// products; a primitive's scratch memory belongs to the thread that made it.
inline const OnednnMatmul& onednn_cached(const OnednnKey& key) {
  constexpr std::size_t capacity = 64;
  thread_local std::vector<OnednnMatmul> cache;
  thread_local std::size_t oldest = 0;
  for (const OnednnMatmul& entry : cache)
    if (entry.key == key) return entry;
  if (cache.size() < capacity) return cache.emplace_back(onednn_compile(key));
  OnednnMatmul& entry = cache[oldest];
  oldest = (oldest + 1) % capacity;
  return entry = onednn_compile(key);
}

}  // namespace detail

/// k > 0. Throws Error when oneDNN refuses.
inline void onednn_product(const Product<float, float>& p) {
  const auto status = dnnl_sgemm(p.transpose_a ? 'T' : 'N', p.transpose_b ? 'T' : 'N', p.m, p.n, p.k, 1.0f, p.a, p.lda,
                                 p.b, p.ldb, static_cast<float>(p.beta), p.c, p.ldc);
  if (status != dnnl_success) fail(concat("oneDNN: sgemm failed with status ", static_cast<int>(status)));
}

template <class C>
void onednn_product(const Product<bf16, C>& p) try {
  const detail::OnednnMatmul& matmul =
      detail::onednn_cached({p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.transpose_a, p.transpose_b, std::is_same_v<C, float>,
                             static_cast<float>(p.beta)});
  const dnnl::engine& engine = detail::onednn_engine();
  dnnl::stream stream(engine);
  // oneDNN takes mutable pointers to what it only reads.
  const dnnl::memory a(matmul.a, engine, const_cast<bf16*>(p.a)), b(matmul.b, engine, const_cast<bf16*>(p.b)),
      c(matmul.c, engine, p.c);
  matmul.primitive.execute(stream, {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
  stream.wait();
} catch (const dnnl::error& e) {
  fail(concat("oneDNN: ", std::string_view(e.what())));
}

}  // namespace ashlar::inline v0::ops::cpu

#endif
