// A mask that says what is visible, but not which keys a tile needs.
// expect: need a mask: a struct with State, needs_documents, visible, keys and all_visible
#include "ashlar/models/stage.hpp"
#include "ashlar/models/transformer.hpp"
using namespace ashlar;

/// Every second position sees every other.
struct Unbounded {
  struct State {};
  static constexpr bool needs_documents = false;
  static bool visible(const State&, index_t, index_t q, index_t k) { return k <= q && (q - k) % 2 == 0; }
};
struct Bounded : Unbounded {
  static KeyRange keys(const State&, index_t, index_t, index_t q_end, index_t) { return {0, q_end}; }
  static bool all_visible(const State&, index_t, index_t, index_t, index_t, index_t) { return false; }
};

#ifdef GOOD
using Choice = Recipe<Attn<Flex<Bounded>>>;
#else
using Choice = Recipe<Attn<Flex<Unbounded>>>;
#endif
constexpr auto size = sizeof(Stage<ModelOf<Choice>>);
