// What every communicator must do, in the memory of any device. communicator_laws<D>(run, size) checks them on ranks
// that `run` starts; a law throws Error, so that it fails the same way in a thread, a process and a test.
#pragma once

#include <functional>

#include "comm/law_values.hpp"

namespace laws {

// --- One law a function. All ranks call the same law. ---

template <class T, class D>
void all_reduce_combines(Rank<D> r, index_t count) {
  for (Reduce op : {Reduce::sum, Reduce::max}) {
    Values<T, D> x(r.queue, values<T>(r.c.rank(), count));
    r.c.all_reduce(r.queue, x.view(), op).wait(r.queue);
    const std::vector<T> v = x.read();
    for (index_t i = 0; i < count; ++i)
      expect(same_bits(v[at(i)], reduced<T>(r.c.size(), i, op)), "all_reduce, element ", i, " of ", count);
  }
}

template <class T, class D>
void all_gather_collects(Rank<D> r, index_t count) {
  const Values<T, D> mine(r.queue, values<T>(r.c.rank(), count));
  for (bool in_place : {false, true}) {
    const index_t own = r.c.rank() * count;
    std::vector<T> start(at(count * r.c.size()));
    if (in_place)
      for (index_t i = 0; i < count; ++i) start[at(own + i)] = value<T>(r.c.rank(), i);
    const Values<T, D> x(r.queue, start);
    r.c.template all_gather<T, D>(r.queue, in_place ? x.range(own, count) : mine.view(), x.view()).wait(r.queue);
    const std::vector<T> all = x.read();
    for (int from = 0; from < r.c.size(); ++from)
      for (index_t i = 0; i < count; ++i)
        expect(same_bits(all[at(from * count + i)], value<T>(from, i)), "all_gather, element ", i, " of rank ", from);
  }
}

template <class T, class D>
void reduce_scatter_combines(Rank<D> r, index_t count) {
  for (Reduce op : {Reduce::sum, Reduce::max})
    for (bool in_place : {false, true}) {
      const index_t own = r.c.rank() * count;
      const Values<T, D> all(r.queue, values<T>(r.c.rank(), count * r.c.size())), mine(r.queue, count);
      r.c.template reduce_scatter<T, D>(r.queue, all.view(), in_place ? all.range(own, count) : mine.view(), op)
          .wait(r.queue);
      const std::vector<T> result = in_place ? all.read() : mine.read();
      for (index_t i = 0; i < count; ++i)
        expect(same_bits(result[at(in_place ? own + i : i)], reduced<T>(r.c.size(), own + i, op)),
               "reduce_scatter, element ", i);
    }
}

/// Ragged: rank s sends (s + 2 r) mod 4 rows of `width` elements to rank r, so some send nothing. Counted on the host,
/// and on the device.
template <class T, class D>
void all_to_all_exchanges(Rank<D> r, index_t width) {
  if (width == 0) return;
  const auto rows = [](int from, int to) { return (from + 2 * to) % 4; };
  std::vector<index_t> sends, receives;
  std::vector<std::int32_t> sends32, receives32;
  std::vector<T> out, expected;
  for (int peer = 0; peer < r.c.size(); ++peer) {
    sends32.push_back(rows(r.c.rank(), peer));
    receives32.push_back(rows(peer, r.c.rank()));
    sends.push_back(sends32.back());
    receives.push_back(receives32.back());
    for (index_t i = 0; i < sends.back() * width; ++i) out.push_back(value<T>(r.c.rank() + 3 * peer, i));
    for (index_t i = 0; i < receives.back() * width; ++i) expected.push_back(value<T>(peer + 3 * r.c.rank(), i));
  }
  const Values<T, D> from(r.queue, out);
  const Values<std::int32_t, D> sent(r.queue, sends32), received(r.queue, receives32);
  for (bool on_device : {false, true}) {
    const index_t more = on_device ? 2 * width : 0;  // a view may have room for more
    const Values<T, D> to(r.queue, std::ssize(expected) + more);
    const RowCounts<D> counts = on_device ? RowCounts<D>(sent.view(), received.view()) : RowCounts<D>(sends, receives);
    r.c.template all_to_all<T, D>(r.queue, from.rows(width), to.rows(width), counts).wait(r.queue);
    const std::vector<T> in = to.read();
    for (std::size_t i = 0; i < expected.size(); ++i)
      expect(same_bits(in[i], expected[i]), "all_to_all, element ", i, on_device ? ", counted on the device" : "");
  }
}

template <class T, class D>
void broadcast_copies(Rank<D> r, index_t count) {
  for (int root = 0; root < r.c.size(); ++root) {
    const Values<T, D> x(r.queue, values<T>(r.c.rank(), count));
    r.c.broadcast(r.queue, x.view(), root).wait(r.queue);
    const std::vector<T> v = x.read();
    for (index_t i = 0; i < count; ++i) expect(same_bits(v[at(i)], value<T>(root, i)), "broadcast from ", root);
  }
}

/// The channels of the law below: gradients have a line of their own, and so has a second tensor.
inline constexpr Channel ring_channels[] = {{5, false, 0}, {5, false, 1}, {5, true, 0}, {7, false, 0}};

/// Prepares them around a ring, each of its links once.
template <class D>
void connect_ring(Rank<D> r) {
  for (int from = 0; from < r.c.size(); ++from) {
    const int to = (from + 1) % r.c.size();
    if (from == to || (from != r.c.rank() && to != r.c.rank())) continue;
    for (const Channel& channel : ring_channels) r.c.template connect<D>(from, to, channel);
  }
}

/// Messages go around a ring, two on each of four channels, and the channels are served in another order at each end.
template <class T, class D>
void messages_keep_their_order(Rank<D> r, index_t count) {
  if (r.c.size() == 1) return;
  const int me = r.c.rank(), next = (me + 1) % r.c.size(), previous = (me + r.c.size() - 1) % r.c.size();
  std::vector<Values<T, D>> out, in;
  std::vector<Request> requests;
  for (int m = 0; m < 8; ++m) {
    out.emplace_back(r.queue, values<T>(me + 10 * m, count));
    in.emplace_back(r.queue, count);
  }
  for (int m = 0; m < 8; ++m)  // messages 0, 1 on the first channel, 2, 3 on the second
    requests.push_back(r.c.send(r.queue, out[at(m)].view(), next, ring_channels[m / 2]));
  for (int m : {6, 2, 4, 7, 0, 3, 5, 1})
    requests.push_back(r.c.receive(r.queue, in[at(m)].view(), previous, ring_channels[m / 2]));
  for (Request& request : requests) request.wait(r.queue);
  for (int m = 0; m < 8; ++m) {
    const std::vector<T> got = in[at(m)].read();
    for (index_t i = 0; i < count; ++i)
      expect(same_bits(got[at(i)], value<T>(previous + 10 * m, i)), "message ", m, ", element ", i);
  }
}

/// Both ends of a link send before they receive, more than any buffer between them holds.
template <class D>
void large_messages_cross(Rank<D> r, index_t count) {
  if (r.c.size() == 1) return;
  const int me = r.c.rank(), peer = me ^ 1;
  if (peer >= r.c.size()) return;
  const Channel channel{9};
  for (int from : {std::min(me, peer), std::max(me, peer)})
    r.c.template connect<D>(from, from == me ? peer : me, channel);
  const Values<float, D> out(r.queue, std::vector<float>(at(count), static_cast<float>(me + 1))), in(r.queue, count);
  Request sent = r.c.send(r.queue, out.view(), peer, channel);
  Request received = r.c.receive(r.queue, in.view(), peer, channel);
  received.wait(r.queue);
  sent.wait(r.queue);
  const std::vector<float> got = in.read();
  expect(got.front() == static_cast<float>(peer + 1) && got.back() == got.front(), "large messages cross");
}

/// Sums whose value depends on their order are the same bits on all ranks; in rank order where that is promised.
template <class T, class D>
void sums_have_one_order(Rank<D> r, index_t count, Promises promises) {
  const auto term = [&](int rank, index_t i) {
    return static_cast<T>(std::sin(1.0f + static_cast<float>(i * 7 + rank)) * (rank % 3 == 1 ? 1e4f : 1.0f));
  };
  const int n = r.c.size();
  std::vector<T> v(at(count)), scattered(at(count * n));
  for (index_t i = 0; i < count; ++i) v[at(i)] = term(r.c.rank(), i);
  for (index_t i = 0; i < count * n; ++i) scattered[at(i)] = term(r.c.rank(), i);
  const Values<T, D> x(r.queue, v), all(r.queue, scattered), mine(r.queue, count), from_all(r.queue, count * n);
  Request first = r.c.all_reduce(r.queue, x.view());
  Request second = r.c.template reduce_scatter<T, D>(r.queue, all.view(), mine.view());
  first.wait(r.queue);
  second.wait(r.queue);
  r.c.template all_gather<T, D>(r.queue, x.view(), from_all.view()).wait(r.queue);
  const std::vector<T> sums = x.read(), block = mine.read(), theirs = from_all.read();
  const auto in_order = [&](index_t i) {
    Acc<T> sum = term(0, i);
    for (int rank = 1; rank < n; ++rank) sum += static_cast<Acc<T>>(term(rank, i));
    return static_cast<T>(sum);
  };
  for (index_t i = 0; i < count; ++i) {
    for (int rank = 0; rank < n; ++rank)
      expect(same_bits(sums[at(i)], theirs[at(rank * count + i)]), "all ranks have the same sum, element ", i);
    if (!promises.rank_order && n > 2) continue;  // of two there is one sum
    expect(same_bits(sums[at(i)], in_order(i)), "all_reduce in rank order, element ", i);
    expect(same_bits(block[at(i)], in_order(r.c.rank() * count + i)), "reduce_scatter in rank order, element ", i);
  }
}

/// Integers wrap around, and the largest of values with a NaN is NaN.
template <class D>
void extremes_are_defined(Rank<D> r, Promises promises) {
  const auto reduce = [&]<class T>(T x, Reduce op) {
    const Values<T, D> v(r.queue, std::vector<T>{x});
    r.c.all_reduce(r.queue, v.view(), op).wait(r.queue);
    return v.read()[0];
  };
  std::int64_t sum = 0;
  for (int rank = 0; rank < r.c.size(); ++rank) sum += (std::int64_t{1} << 53) + rank;
  expect(reduce((std::int64_t{1} << 53) + r.c.rank(), Reduce::sum) == sum, "sums of i64 are exact");
  expect(reduce(std::uint8_t{200}, Reduce::sum) == static_cast<std::uint8_t>(200 * r.c.size()),
         "sums of u8 wrap around");
  expect(reduce(std::int32_t{-5 - r.c.rank()}, Reduce::max) == -5, "the largest of negative numbers");
  if (!promises.nan_survives_max) return;
  for (int holder = 0; holder < r.c.size(); ++holder)
    expect(std::isnan(reduce(r.c.rank() == holder ? NAN : 1.0f, Reduce::max)), "a NaN of rank ", holder,
           " survives max");
}

/// Many tensors of several types and sizes, one of them empty, as one operation.
template <class D>
void many_small_sums_are_one(Rank<D> r) {
  const int me = r.c.rank(), n = r.c.size();
  for (Reduce op : {Reduce::sum, Reduce::max}) {
    const Values<std::int32_t, D> counts(r.queue, values<std::int32_t>(me, 9)),
        more(r.queue, values<std::int32_t>(me + 1, 7));
    const Values<double, D> norm(r.queue, values<double>(me, 1));
    const Values<float, D> gates(r.queue, values<float>(me, 300)), none(r.queue, 0);
    const Communicator::ReduceView<D> all[] = {counts.view(), more.view(), norm.view(), gates.view(), none.view()};
    r.c.template all_reduce_each<D>(r.queue, all, op).wait(r.queue);
    const auto holds = [&]<class T>(const Values<T, D>& x, int shift) {
      const std::vector<T> v = x.read();
      for (std::size_t i = 0; i < v.size(); ++i) {
        float sum = 0, most = 0;
        for (int rank = 0; rank < n; ++rank) {
          const auto term = static_cast<float>(value<T>(rank + shift, static_cast<index_t>(i)));
          sum += term;
          most = std::max(most, term);
        }
        expect(v[i] == static_cast<T>(op == Reduce::sum ? sum : most), "all_reduce_each, element ", i);
      }
    };
    holds(counts, 0);
    holds(more, 1);
    holds(norm, 0);
    holds(gates, 0);
  }
}

/// Every kind of operation in flight at once; half of the ranks wait in order, half in the reverse order.
template <class D>
void operations_overlap(Rank<D> r) {
  const int rounds = 20, n = r.c.size();
  std::vector<Values<float, D>> sums, gathered, mine;
  std::vector<Request> requests;
  for (int k = 0; k < rounds; ++k) {
    const index_t count = k % 2 ? 3 : 5000;
    sums.emplace_back(r.queue, values<float>(r.c.rank() + k, count));
    mine.emplace_back(r.queue, values<float>(r.c.rank() + k, count));
    gathered.emplace_back(r.queue, n * count);
    requests.push_back(r.c.all_reduce(r.queue, sums.back().view()));
    requests.push_back(r.c.template all_gather<float, D>(r.queue, mine.back().view(), gathered.back().view()));
  }
  expect(requests.size() == at(2 * rounds), "there is one request an operation");
  if (r.c.rank() % 2) std::reverse(requests.begin(), requests.end());
  for (std::size_t i = 0; i < requests.size() / 2; ++i) requests[i].wait(r.queue);
  while (!requests.back().test()) {}
  for (Request& request : requests) request.wait(r.queue);
  for (int k = 0; k < rounds; ++k) {
    const std::vector<float> sum_of = sums[at(k)].read(), all = gathered[at(k)].read();
    const index_t count = std::ssize(sum_of);
    for (index_t i = 0; i < count; ++i) {
      float sum = 0;
      for (int rank = 0; rank < n; ++rank) sum += value<float>(rank + k, i);
      expect(sum_of[at(i)] == sum, "all_reduce ", k, " of many, element ", i);
      for (int rank = 0; rank < n; ++rank)
        expect(all[at(rank * count + i)] == value<float>(rank + k, i), "all_gather ", k, " of many");
    }
  }
}

/// An operation sees what the queue did before it, and what the queue does after wait() sees the operation: in a chain
/// that no host waits in.
template <class D>
void queues_order_operations(Rank<D> r) {
  const int n = r.c.size(), steps = 6;
  const index_t count = 100000;
  const Values<float, D> x(r.queue, std::vector<float>(at(count), 1.0f)), copy(r.queue, count);
  const auto bytes = at(count) * sizeof(float);
  for (int k = 0; k < steps; ++k) {
    D::copy(r.queue, copy.view().data(), x.view().data(), bytes);
    r.c.all_reduce(r.queue, copy.view()).wait(r.queue);
    D::copy(r.queue, x.view().data(), copy.view().data(), bytes);
    D::fill_zero(r.queue, copy.view().data(), bytes);
  }
  const std::vector<float> got = x.read();
  const auto expected = static_cast<float>(std::pow(n, steps));
  for (index_t i = 0; i < count; ++i) expect(got[at(i)] == expected, "a chain on the queue, element ", i);
}

/// A request that nobody waits for is waited for by its destructor, or by what replaces it.
template <class D>
void dropped_requests_finish(Rank<D> r) {
  const Values<float, D> v(r.queue, std::vector<float>(100, 1.0f)), w(r.queue, std::vector<float>(100, 2.0f));
  {
    Request request = r.c.all_reduce(r.queue, v.view());
    request = r.c.all_reduce(r.queue, w.view());
  }
  const auto n = static_cast<float>(r.c.size());
  expect(v.read()[99] == n && w.read()[99] == 2 * n, "dropped requests");
}

/// A request that is waited for while an exception unwinds is no different: it was made by who handles that.
template <class D>
void requests_work_while_an_exception_unwinds(Rank<D> r) {
  struct Farewell {
    Rank<D> r;
    float* sum;
    ~Farewell() {
      const Values<float, D> v(r.queue, std::vector<float>(1, 1.0f));
      r.c.all_reduce(r.queue, v.view()).wait(r.queue);
      Request dropped = r.c.all_reduce(r.queue, v.view());
      dropped = {};
      *sum = v.read()[0];
    }
  };
  float sum = 0;
  try {
    const Farewell farewell{r, &sum};
    throw 1;
  } catch (int) {}
  expect(sum == static_cast<float>(r.c.size()) * static_cast<float>(r.c.size()), "sums of a destructor");
}

template <class D>
void split_makes_groups(Rank<D> r) {
  Communicator c = r.c;
  const int color = c.rank() % 3 == 2 ? -1 : c.rank() % 3;
  Communicator part = c.split(color, -c.rank(), "part");
  if (color < 0) return expect(part.size() == 1 && part.rank() == 0, "a negative color is alone");
  int size = 0, rank = 0, sum = 0;
  for (int other = color; other < c.size(); other += 3) {
    ++size;
    rank += other > c.rank();
    sum += other;
  }
  expect(part.size() == size && part.rank() == rank, "split orders by key");
  const Values<std::int32_t, D> total(r.queue, std::vector<std::int32_t>{c.rank()});
  part.all_reduce(r.queue, total.view()).wait(r.queue);
  expect(total.read()[0] == sum, "a split group reduces over its members");
}

/// Groups that overlap, of which the outsiders know nothing, used at the same time as the world.
template <class D>
void groups_are_apart(Rank<D> r) {
  Communicator c = r.c;
  std::vector<int> even, upper;
  for (int rank = c.size() - 1; rank >= 0; --rank)
    if (rank % 2 == 0) even.push_back(rank);
  for (int rank = c.size() / 2; rank < c.size(); ++rank) upper.push_back(rank);
  std::int32_t even_sum = 0, upper_sum = 0;
  for (int rank : even) even_sum += rank;
  for (int rank : upper) upper_sum += rank;
  const auto one = [&](std::int32_t x) { return Values<std::int32_t, D>(r.queue, std::vector<std::int32_t>{x}); };
  const Values<std::int32_t, D> in_world = one(1), in_even = one(c.rank()), in_upper = one(c.rank()), other = one(1);
  Request world = c.all_reduce(r.queue, in_world.view());
  if (c.rank() % 2 == 0) {
    Communicator group = c.group(even, "even");
    expect(group.rank() == std::ssize(even) - 1 - c.rank() / 2, "a group keeps the order that it was given");
    group.all_reduce(r.queue, in_even.view()).wait(r.queue);
    expect(in_even.read()[0] == even_sum, "the group of even ranks");
    const Values<std::int32_t, D> root = one(c.rank());
    group.broadcast(r.queue, root.view(), 0).wait(r.queue);
    expect(root.read()[0] == even.front(), "the root of a group is a rank of the group");
  }
  if (c.rank() >= c.size() / 2) {
    Communicator first = c.group(upper, "upper"), second = c.group(upper, "upper");
    Request a = first.all_reduce(r.queue, in_upper.view());
    second.all_reduce(r.queue, other.view()).wait(r.queue);
    a.wait(r.queue);
    expect(in_upper.read()[0] == upper_sum && other.read()[0] == std::ssize(upper), "two groups of the same ranks");
  }
  world.wait(r.queue);
  expect(in_world.read()[0] == c.size(), "the world beside its groups");
  c.barrier();
}

/// Values of the host, for control.
inline void hosts_agree(Communicator c) {
  std::int64_t sum = 0;
  for (int rank = 0; rank < c.size(); ++rank) sum += rank;
  expect(c.reduce_value(std::int64_t{c.rank()}) == sum, "reduce_value");
  expect(c.reduce_value(1.0 + c.rank(), Reduce::max) == c.size(), "reduce_value, the largest");
  expect(c.broadcast_value(std::int32_t{c.rank()}, c.size() - 1) == c.size() - 1, "broadcast_value");
  const std::vector<std::int32_t> all = c.gather_values(std::int32_t{c.rank() * 2});
  for (int rank = 0; rank < c.size(); ++rank) expect(all[at(rank)] == rank * 2, "gather_values");
  c.barrier();
}

/// What holds where all ranks hold the same data: the laws that Fake keeps too.
template <class T, class D>
void same_data_laws(Rank<D> r, index_t count) {
  Communicator c = r.c;
  const int n = c.size();
  const Values<T, D> v(r.queue, values<T>(1, count)), blocks(r.queue, values<T>(1, count * n)), all(r.queue, count * n),
      mine(r.queue, count);
  c.all_reduce(r.queue, v.view(), Reduce::max).wait(r.queue);
  std::vector<T> got = v.read();
  for (index_t i = 0; i < count; ++i) expect(same_bits(got[at(i)], value<T>(1, i)), "max of equals, element ", i);
  c.template all_gather<T, D>(r.queue, v.view(), all.view()).wait(r.queue);
  c.template reduce_scatter<T, D>(r.queue, blocks.view(), mine.view()).wait(r.queue);
  c.all_reduce(r.queue, v.view()).wait(r.queue);
  got = v.read();
  const std::vector<T> scattered = mine.read();
  std::vector<T> gathered = all.read();
  for (index_t i = 0; i < count; ++i) {
    const auto times = [&](T x) { return static_cast<T>(static_cast<float>(n) * static_cast<float>(x)); };
    expect(same_bits(got[at(i)], times(value<T>(1, i))), "sum of equals, element ", i);
    expect(same_bits(scattered[at(i)], times(value<T>(1, c.rank() * count + i))), "scattered sum of equals, element ",
           i);
    for (int rank = 0; rank < n; ++rank)
      expect(same_bits(gathered[at(rank * count + i)], value<T>(1, i)), "gather of equals");
  }
  const std::vector<index_t> counts(at(n), count);
  c.template all_to_all<T, D>(r.queue, blocks.view(), all.view(), RowCounts<D>(counts, counts)).wait(r.queue);
  gathered = all.read();
  for (int rank = 0; rank < n; ++rank)
    for (index_t i = 0; i < count; ++i)
      expect(same_bits(gathered[at(rank * count + i)], value<T>(1, c.rank() * count + i)), "exchange of equals, rank ",
             rank);
  const Values<T, D> cast(r.queue, values<T>(1, count));
  c.broadcast(r.queue, cast.view(), n - 1).wait(r.queue);
  got = cast.read();
  for (index_t i = 0; i < count; ++i) expect(same_bits(got[at(i)], value<T>(1, i)), "broadcast of equals");
  c.barrier();
}

template <class T, class D>
void laws_of_type(Rank<D> r) {
  connect_ring(r);
  for (index_t count : {0, 1, 7, 1000}) {
    all_reduce_combines<T>(r, count);
    all_gather_collects<T>(r, count);
    reduce_scatter_combines<T>(r, count);
    all_to_all_exchanges<T>(r, count);
    broadcast_copies<T>(r, count);
    messages_keep_their_order<T>(r, count);
    same_data_laws<T>(r, count);
  }
}

using Body = std::function<void(Communicator)>;

/// Checks all laws of a working group on `size` ranks. run(size, body) calls body with each rank's communicator of D's
/// memory, on the rank's thread or process, and returns when all are done.
template <class D, class Run>
void communicator_laws(Run&& run, int size, Promises promises = {}) {
  const auto check_on_queue = [&](auto law) {
    run(size, Body([law](Communicator c) {
          typename D::Queue queue;
          law(Rank<D>{c, queue});
        }));
  };
  check_on_queue([size](Rank<D> r) { expect(r.c.size() == size, "the world has ", size, " ranks"); });
  check_on_queue([](Rank<D> r) {
    laws_of_type<float>(r);
    laws_of_type<double>(r);
    laws_of_type<bf16>(r);
    laws_of_type<std::int32_t>(r);
    laws_of_type<std::int64_t>(r);
    laws_of_type<std::uint8_t>(r);
  });
  check_on_queue([promises](Rank<D> r) {
    for (index_t count : {1, 7, 1000, 20000}) {
      sums_have_one_order<float>(r, count, promises);
      sums_have_one_order<double>(r, count, promises);
      sums_have_one_order<bf16>(r, count, promises);
    }
    extremes_are_defined(r, promises);
    many_small_sums_are_one(r);
    operations_overlap(r);
    queues_order_operations(r);
    dropped_requests_finish(r);
    requests_work_while_an_exception_unwinds(r);
    large_messages_cross(r, promises.large_message);
    hosts_agree(r.c);
  });
  check_on_queue([](Rank<D> r) {
    split_makes_groups(r);
    groups_are_apart(r);
  });
}

}  // namespace laws
