// What every communicator must do. communicator_laws(run, size) checks them on ranks that `run` starts; a law throws
// Error, so that it fails the same way in a thread, a process and a test. Used by local.cpp, mpi_laws.cpp and fake.cpp.
#pragma once

#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "ashlar/comm/communicator.hpp"

namespace laws {

using namespace ashlar;

template <class... Parts>
void expect(bool holds, const Parts&... parts) {
  if (!holds) fail(concat("a law is broken: ", parts...));
}

inline std::size_t at(index_t i) {
  return static_cast<std::size_t>(i);
}

/// What rank r holds at i: small whole numbers, exact in every type and in sums over eight ranks.
template <class T>
T value(int r, index_t i) {
  return static_cast<T>(static_cast<float>((r * 5 + i * 3) % 13 + 1));
}
template <class T>
std::vector<T> values(int r, index_t count) {
  std::vector<T> v(at(count));
  for (index_t i = 0; i < count; ++i) v[at(i)] = value<T>(r, i);
  return v;
}
template <class T>
T reduced(int size, index_t i, Reduce op) {
  float sum = 0, most = 0;
  for (int r = 0; r < size; ++r) {
    sum += static_cast<float>(value<T>(r, i));
    most = std::max(most, static_cast<float>(value<T>(r, i)));
  }
  return static_cast<T>(op == Reduce::sum ? sum : most);
}
template <class T>
bool same_bits(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// --- One law a function. `c` is the calling rank's communicator; all ranks call the same law. ---

template <class T>
void all_reduce_combines(Communicator c, index_t count) {
  for (Reduce op : {Reduce::sum, Reduce::max}) {
    std::vector<T> v = values<T>(c.rank(), count);
    c.all_reduce(v.data(), count, op).wait();
    for (index_t i = 0; i < count; ++i)
      expect(same_bits(v[at(i)], reduced<T>(c.size(), i, op)), "all_reduce, element ", i, " of ", count);
  }
}

template <class T>
void all_gather_collects(Communicator c, index_t count) {
  const std::vector<T> mine = values<T>(c.rank(), count);
  for (bool in_place : {false, true}) {
    std::vector<T> all(at(count * c.size()));
    if (in_place) std::copy(mine.begin(), mine.end(), all.begin() + c.rank() * count);
    c.all_gather<T>(in_place ? all.data() + c.rank() * count : mine.data(), all.data(), count).wait();
    for (int r = 0; r < c.size(); ++r)
      for (index_t i = 0; i < count; ++i)
        expect(same_bits(all[at(r * count + i)], value<T>(r, i)), "all_gather, element ", i, " of rank ", r);
  }
}

template <class T>
void reduce_scatter_combines(Communicator c, index_t count) {
  for (Reduce op : {Reduce::sum, Reduce::max})
    for (bool in_place : {false, true}) {
      std::vector<T> all = values<T>(c.rank(), count * c.size()), mine(at(count));
      T* result = in_place ? all.data() + c.rank() * count : mine.data();
      c.reduce_scatter<T>(all.data(), result, count, op).wait();
      for (index_t i = 0; i < count; ++i)
        expect(same_bits(result[i], reduced<T>(c.size(), c.rank() * count + i, op)), "reduce_scatter, element ", i);
    }
}

/// Ragged: rank s sends (s + 2 r) mod 4 times `unit` elements to rank r, so some send nothing.
template <class T>
void all_to_all_exchanges(Communicator c, index_t unit) {
  const auto rows = [&](int from, int to) { return (from + 2 * to) % 4 * unit; };
  std::vector<index_t> sends, receives;
  std::vector<T> out, in, expected;
  for (int r = 0; r < c.size(); ++r) {
    sends.push_back(rows(c.rank(), r));
    receives.push_back(rows(r, c.rank()));
    for (index_t i = 0; i < sends.back(); ++i) out.push_back(value<T>(c.rank() + 3 * r, i));
    for (index_t i = 0; i < receives.back(); ++i) expected.push_back(value<T>(r + 3 * c.rank(), i));
  }
  in.resize(expected.size());
  c.all_to_all<T>(out.data(), sends, in.data(), receives).wait();
  for (std::size_t i = 0; i < in.size(); ++i) expect(same_bits(in[i], expected[i]), "all_to_all, element ", i);
}

template <class T>
void broadcast_copies(Communicator c, index_t count) {
  for (int root = 0; root < c.size(); ++root) {
    std::vector<T> v = values<T>(c.rank(), count);
    c.broadcast(v.data(), count, root).wait();
    for (index_t i = 0; i < count; ++i) expect(same_bits(v[at(i)], value<T>(root, i)), "broadcast from ", root);
  }
}

/// Messages go around a ring, two under each of two tags. They are received in another order than they were sent in.
template <class T>
void messages_match_by_tag(Communicator c, index_t count) {
  if (c.size() == 1) return;
  const int next = (c.rank() + 1) % c.size(), previous = (c.rank() + c.size() - 1) % c.size();
  std::vector<T> out[4], in[4];
  std::vector<Request> requests;
  for (int m = 0; m < 4; ++m) {  // messages 0 and 1 have tag 7, 2 and 3 have tag 5
    out[m] = values<T>(c.rank() + 10 * m, count);
    requests.push_back(c.send(out[m].data(), count, next, m < 2 ? 7 : 5));
  }
  for (int m : {2, 0, 3, 1}) {
    in[m].resize(at(count));
    requests.push_back(c.receive(in[m].data(), count, previous, m < 2 ? 7 : 5));
  }
  for (Request& request : requests) request.wait();
  for (int m = 0; m < 4; ++m)
    for (index_t i = 0; i < count; ++i)
      expect(same_bits(in[m][at(i)], value<T>(previous + 10 * m, i)), "message ", m, ", element ", i);
}

/// Sums whose value depends on their order are those of rank order, the same bits on all ranks.
template <class T>
void sums_are_in_rank_order(Communicator c, index_t count) {
  const auto term = [&](int r, index_t i) {
    return static_cast<T>(std::sin(1.0f + static_cast<float>(i * 7 + r)) * (r % 3 == 1 ? 1e4f : 1.0f));
  };
  std::vector<T> v(at(count)), scattered(at(count * c.size())), block(at(count));
  for (index_t i = 0; i < count; ++i) v[at(i)] = term(c.rank(), i);
  for (index_t i = 0; i < count * c.size(); ++i) scattered[at(i)] = term(c.rank(), i);
  Request first = c.all_reduce(v.data(), count), second = c.reduce_scatter<T>(scattered.data(), block.data(), count);
  first.wait();
  second.wait();
  const auto in_order = [&](index_t i) {
    Acc<T> sum = term(0, i);
    for (int r = 1; r < c.size(); ++r) sum += static_cast<Acc<T>>(term(r, i));
    return static_cast<T>(sum);
  };
  for (index_t i = 0; i < count; ++i) {
    expect(same_bits(v[at(i)], in_order(i)), "all_reduce in rank order, element ", i);
    expect(same_bits(block[at(i)], in_order(c.rank() * count + i)), "reduce_scatter in rank order, element ", i);
  }
}

/// Integers wrap around, and the largest of values with a NaN is NaN.
inline void extremes_are_defined(Communicator c) {
  std::int64_t big = std::int64_t{1} << 53, sum = 0;
  big += c.rank();
  for (int r = 0; r < c.size(); ++r) sum += (std::int64_t{1} << 53) + r;
  c.all_reduce(&big, 1).wait();
  expect(big == sum, "sums of i64 are exact");
  std::uint8_t small = 200;
  c.all_reduce(&small, 1).wait();
  expect(small == static_cast<std::uint8_t>(200 * c.size()), "sums of u8 wrap around");
  std::int32_t negative = -5 - c.rank();
  c.all_reduce(&negative, 1, Reduce::max).wait();
  expect(negative == -5, "the largest of negative numbers");
  for (int holder = 0; holder < c.size(); ++holder) {
    float x = c.rank() == holder ? NAN : 1.0f;
    c.all_reduce(&x, 1, Reduce::max).wait();
    expect(std::isnan(x), "a NaN of rank ", holder, " survives max");
  }
}

/// Every kind of operation in flight at once; half of the ranks wait in order, half in the reverse order.
inline void operations_overlap(Communicator c) {
  const int rounds = 20, n = c.size();
  std::vector<std::vector<float>> reduce(rounds), gather(rounds), cast(rounds);
  std::vector<Request> requests;
  for (int k = 0; k < rounds; ++k) {
    const index_t count = k % 2 ? 3 : 5000;
    reduce[at(k)] = values<float>(c.rank() + k, count);
    gather[at(k)].resize(at(n * count));
    cast[at(k)] = values<float>(c.rank() + k, count);
    requests.push_back(c.all_reduce(reduce[at(k)].data(), count));
    requests.push_back(c.all_gather<float>(cast[at(k)].data(), gather[at(k)].data(), count));
  }
  expect(requests.size() == at(2 * rounds), "there is one request an operation");
  if (c.rank() % 2) std::reverse(requests.begin(), requests.end());
  for (std::size_t i = 0; i < requests.size() / 2; ++i) requests[i].wait();
  while (!requests.back().test()) {}
  for (Request& request : requests) request.wait();
  for (int k = 0; k < rounds; ++k) {
    const index_t count = static_cast<index_t>(reduce[at(k)].size());
    for (index_t i = 0; i < count; ++i) {
      float sum = 0;
      for (int r = 0; r < n; ++r) sum += value<float>(r + k, i);
      expect(reduce[at(k)][at(i)] == sum, "all_reduce ", k, " of many, element ", i);
      for (int r = 0; r < n; ++r)
        expect(gather[at(k)][at(r * count + i)] == value<float>(r + k, i), "all_gather ", k, " of many");
    }
  }
}

/// A request that nobody waits for is waited for by its destructor, or by what replaces it.
inline void dropped_requests_finish(Communicator c) {
  std::vector<float> v(100, 1.0f), w(100, 2.0f);
  {
    Request request = c.all_reduce(v.data(), 100);
    request = c.all_reduce(w.data(), 100);
  }
  expect(v[99] == static_cast<float>(c.size()) && w[99] == 2.0f * static_cast<float>(c.size()), "dropped requests");
}

inline void split_makes_groups(Communicator c) {
  const int color = c.rank() % 3 == 2 ? -1 : c.rank() % 3;
  Communicator part = c.split(color, -c.rank(), "part");
  if (color < 0) return expect(part.size() == 1 && part.rank() == 0, "a negative color is alone");
  int size = 0, rank = 0, sum = 0;
  for (int r = color; r < c.size(); r += 3) {
    ++size;
    rank += r > c.rank();
    sum += r;
  }
  expect(part.size() == size && part.rank() == rank, "split orders by key");
  std::int32_t total = c.rank();
  part.all_reduce(&total, 1).wait();
  expect(total == sum, "a split group reduces over its members");
}

/// Groups that overlap, of which the outsiders know nothing, used at the same time as the world.
inline void groups_are_apart(Communicator c) {
  std::vector<int> even, upper;
  for (int r = c.size() - 1; r >= 0; --r)
    if (r % 2 == 0) even.push_back(r);
  for (int r = c.size() / 2; r < c.size(); ++r) upper.push_back(r);
  std::int32_t in_world = 1, in_even = c.rank(), in_upper = c.rank(), even_sum = 0, upper_sum = 0;
  for (int r : even) even_sum += r;
  for (int r : upper) upper_sum += r;
  Request world = c.all_reduce(&in_world, 1);
  if (c.rank() % 2 == 0) {
    Communicator group = c.group(even, "even");
    expect(group.rank() == std::ssize(even) - 1 - c.rank() / 2, "a group keeps the order that it was given");
    group.all_reduce(&in_even, 1).wait();
    expect(in_even == even_sum, "the group of even ranks");
    std::int32_t root = c.rank();
    group.broadcast(&root, 1, 0).wait();
    expect(root == even.front(), "the root of a group is a rank of the group");
  }
  if (c.rank() >= c.size() / 2) {
    Communicator first = c.group(upper, "upper"), second = c.group(upper, "upper");
    Request a = first.all_reduce(&in_upper, 1);
    std::int32_t other = 1;
    second.all_reduce(&other, 1).wait();
    a.wait();
    expect(in_upper == upper_sum && other == std::ssize(upper), "two groups of the same ranks");
  }
  world.wait();
  expect(in_world == c.size(), "the world beside its groups");
  c.barrier();
}

/// What holds where all ranks hold the same data: the laws that Fake keeps too.
template <class T>
void same_data_laws(Communicator c, index_t count) {
  const int n = c.size();
  std::vector<T> v = values<T>(1, count), blocks = values<T>(1, count * n), all(at(count * n)), mine(at(count));
  c.all_reduce(v.data(), count, Reduce::max).wait();
  for (index_t i = 0; i < count; ++i) expect(same_bits(v[at(i)], value<T>(1, i)), "max of equals, element ", i);
  c.all_gather<T>(v.data(), all.data(), count).wait();
  c.reduce_scatter<T>(blocks.data(), mine.data(), count).wait();
  c.all_reduce(v.data(), count).wait();
  for (index_t i = 0; i < count; ++i) {
    const auto times = [&](T x) { return static_cast<T>(static_cast<float>(n) * static_cast<float>(x)); };
    expect(same_bits(v[at(i)], times(value<T>(1, i))), "sum of equals, element ", i);
    expect(same_bits(mine[at(i)], times(value<T>(1, c.rank() * count + i))), "scattered sum of equals, element ", i);
    for (int r = 0; r < n; ++r) expect(same_bits(all[at(r * count + i)], value<T>(1, i)), "gather of equals");
  }
  const std::vector<index_t> counts(at(n), count);
  c.all_to_all<T>(blocks.data(), counts, all.data(), counts).wait();
  for (int r = 0; r < n; ++r)
    for (index_t i = 0; i < count; ++i)
      expect(same_bits(all[at(r * count + i)], blocks[at(c.rank() * count + i)]), "exchange of equals, rank ", r);
  std::vector<T> cast = values<T>(1, count);
  c.broadcast(cast.data(), count, n - 1).wait();
  for (index_t i = 0; i < count; ++i) expect(same_bits(cast[at(i)], value<T>(1, i)), "broadcast of equals");
  c.barrier();
}

template <class T>
void laws_of_type(Communicator c) {
  for (index_t count : {0, 1, 7, 1000}) {
    all_reduce_combines<T>(c, count);
    all_gather_collects<T>(c, count);
    reduce_scatter_combines<T>(c, count);
    all_to_all_exchanges<T>(c, count);
    broadcast_copies<T>(c, count);
    messages_match_by_tag<T>(c, count);
    same_data_laws<T>(c, count);
  }
}

using Body = std::function<void(Communicator)>;

/// Checks all laws of a working group on `size` ranks. run(size, body) calls body on each and returns when all are
/// done.
template <class Run>
void communicator_laws(Run&& run, int size) {
  run(size, Body([size](Communicator c) { expect(c.size() == size, "the world has ", size, " ranks"); }));
  run(size, Body(laws_of_type<float>));
  run(size, Body(laws_of_type<double>));
  run(size, Body(laws_of_type<bf16>));
  run(size, Body(laws_of_type<std::int32_t>));
  run(size, Body(laws_of_type<std::int64_t>));
  run(size, Body(laws_of_type<std::uint8_t>));
  run(size, Body([](Communicator c) {
        for (index_t count : {1, 7, 1000, 20000}) {
          sums_are_in_rank_order<float>(c, count);
          sums_are_in_rank_order<double>(c, count);
          sums_are_in_rank_order<bf16>(c, count);
        }
        extremes_are_defined(c);
        operations_overlap(c);
        dropped_requests_finish(c);
      }));
  run(size, Body([](Communicator c) {
        split_makes_groups(c);
        groups_are_apart(c);
      }));
}

}  // namespace laws
