// MpiBackend: the collectives of one group over MPI. Needs ASHLAR_WITH_MPI. Made by the MpiSession of comm/mpi.hpp.
// Read next: comm/mpi_operation.hpp (how operations make progress, and end when they can't).
#pragma once

#include "ashlar/comm/communicator.hpp"
#include "ashlar/comm/mpi_operation.hpp"
#include "ashlar/comm/reduce.hpp"

namespace ashlar::inline v0::detail {

inline MPI_Datatype mpi_type(DType type) {
  switch (type) {
    case DType::f32: return MPI_FLOAT;
    case DType::f64: return MPI_DOUBLE;
    case DType::bf16: return MPI_UINT16_T;
    case DType::i32: return MPI_INT32_T;
    case DType::u8: return MPI_UINT8_T;
    case DType::i64: return MPI_INT64_T;
  }
  return MPI_DATATYPE_NULL;
}

/// `count` elements as the (count, type) of an MPI call, whose counts are ints: beyond `max_count`, one element of a
/// type that is all of them. The type may be freed once the call is made.
struct MpiExtent {
  MpiExtent(index_t elements, DType element, index_t max_count)
      : count(static_cast<int>(elements)), type(mpi_type(element)) {
    if (elements <= max_count) return;
    const MPI_Datatype base = type;
    const index_t whole = elements / max_count;
    MPI_Datatype chunk, parts[2];
    check_mpi(MPI_Type_contiguous(static_cast<int>(max_count), base, &chunk), "MPI_Type_contiguous");
    check_mpi(MPI_Type_contiguous(static_cast<int>(whole), chunk, &parts[0]), "MPI_Type_contiguous");
    check_mpi(MPI_Type_contiguous(static_cast<int>(elements % max_count), base, &parts[1]), "MPI_Type_contiguous");
    const int lengths[] = {1, 1};
    const MPI_Aint offsets[] = {0, static_cast<MPI_Aint>(whole * max_count * static_cast<index_t>(size_of(element)))};
    check_mpi(MPI_Type_create_struct(2, lengths, offsets, parts, &type), "MPI_Type_create_struct");
    check_mpi(MPI_Type_commit(&type), "MPI_Type_commit");
    for (MPI_Datatype* made : {&chunk, &parts[0], &parts[1]}) MPI_Type_free(made);
    count = 1;
    made_ = true;
  }
  MpiExtent(const MpiExtent&) = delete;
  MpiExtent& operator=(const MpiExtent&) = delete;
  ~MpiExtent() {
    if (made_) MPI_Type_free(&type);
  }
  int count;
  MPI_Datatype type;

 private:
  bool made_ = false;
};

/// A channel's tag: MPI promises tags up to 32767.
inline int tag_of(const Channel& c) {
  constexpr int streams = 8, tags = 32768;
  const int tag = (c.boundary * 2 + c.gradient) * streams + c.stream;
  if (c.boundary < 0 || c.stream < 0 || c.stream >= streams || tag >= tags)
    fail(concat(to_string(c), " can't be used over MPI: there are boundaries 0 to ", tags / 2 / streams - 1,
                " and streams 0 to ", streams - 1));
  return tag;
}

/// target = the reduction of the `n` consecutive blocks of `blocks`, each [count].
inline void reduce_consecutive(const std::byte* blocks, int n, void* target, index_t count, DType type, Reduce op) {
  std::vector<const void*> sources;
  for (int r = 0; r < n; ++r) sources.push_back(advance(blocks, r * count, type));
  reduce_in_order(sources, target, count, type, op);
}

/// A group over MPI. Data moves by MPI's non-blocking collectives; reductions are this class's own, in rank order, so
/// that they have the same bits on all ranks, in all runs and on all backends, which MPI's do not promise. all_reduce
/// sends each rank its block of all buffers, adds there, and gathers the sums: the bytes of a ring, in two stages.
/// Collectives that do not match between ranks are not looked for: they time out, or MPI notices that a message is too
/// long.
class MpiBackend final : public HostBackend {
 public:
  explicit MpiBackend(std::shared_ptr<MpiGroup> group) : group_(std::move(group)) {}

  int rank() const override { return group_->rank; }
  int size() const override { return group_->size(); }
  Request all_reduce(AnyQueue queue, void* data, index_t count, DType type, Reduce op) override {
    constexpr std::size_t small = 1024;  // bytes: below, one stage of larger messages takes less time than two
    if (count < size() || static_cast<std::size_t>(count) * size_of(type) <= small)
      return reduce_small(data, count, type, op);
    if (count <= max_count()) return reduce_blocks(data, count, type, op);
    auto several = std::make_shared<SeveralRequests>();
    for (index_t begin = 0; begin < count; begin += max_count())
      several->parts.push_back(
          all_reduce(queue, advance(data, begin, type), std::min(max_count(), count - begin), type, op));
    return Request(std::move(several));
  }
  Request all_gather(AnyQueue, const void* send, void* receive, index_t count, DType type) override {
    const auto operation = begin({Kind::all_gather, count, type});
    const bool in_place = send == advance(receive, rank() * count, type);
    const MpiExtent extent(count, type, max_count());
    operation->check_call(MPI_Iallgather(in_place ? MPI_IN_PLACE : send, extent.count, extent.type, receive,
                                         extent.count, extent.type, group_->first, operation->add()),
                          "MPI_Iallgather");
    return operation->start();
  }
  /// Takes scratch memory of the size of `send`.
  Request reduce_scatter(AnyQueue, const void* send, void* receive, index_t count, DType type, Reduce op) override {
    const auto operation = begin({Kind::reduce_scatter, count, type, op});
    std::byte* blocks = operation->scratch(size() * count);
    const MpiExtent extent(count, type, max_count());
    operation->check_call(MPI_Ialltoall(send, extent.count, extent.type, blocks, extent.count, extent.type,
                                        group_->first, operation->add()),
                          "MPI_Ialltoall");
    operation->then = [=, n = size()] { reduce_consecutive(blocks, n, receive, count, type, op); };
    return operation->start();
  }
  /// One message for each pair of ranks that have rows to exchange, on `second`, where no other messages are.
  Request all_to_all(AnyQueue, const void* send, std::span<const index_t> send_counts, void* receive,
                     std::span<const index_t> receive_counts, DType type) override {
    const auto n = static_cast<std::size_t>(size()), me = static_cast<std::size_t>(rank());
    check(send_counts.size() == n && receive_counts.size() == n, "all_to_all needs one count a rank");
    check(send_counts[me] == receive_counts[me], "all_to_all: a rank receives from itself what it sends to itself");
    const auto operation = begin({Kind::all_to_all, 0, type});
    const std::byte* from = static_cast<const std::byte*>(send);
    std::byte* to = static_cast<std::byte*>(receive);
    for (std::size_t r = 0; r < n; ++r) {
      const MpiExtent in(receive_counts[r], type, max_count()), out(send_counts[r], type, max_count());
      if (r == me) {
        copy_elements(to, from, send_counts[r], type);
      } else {
        if (receive_counts[r] > 0)
          operation->check_call(MPI_Irecv(to, in.count, in.type, static_cast<int>(r), operation->tag(), group_->second,
                                          operation->add(receive_counts[r])),
                                "MPI_Irecv");
        if (send_counts[r] > 0)
          operation->check_call(MPI_Isend(from, out.count, out.type, static_cast<int>(r), operation->tag(),
                                          group_->second, operation->add()),
                                "MPI_Isend");
      }
      from = advance(from, send_counts[r], type);
      to = advance(to, receive_counts[r], type);
    }
    return operation->start();
  }
  Request broadcast(AnyQueue, void* data, index_t count, DType type, int root) override {
    check(root >= 0 && root < size(), "the root of a broadcast is a rank of the group");
    const auto operation = begin({Kind::broadcast, count, type, Reduce::sum, root});
    const MpiExtent extent(count, type, max_count());
    operation->check_call(MPI_Ibcast(data, extent.count, extent.type, root, group_->first, operation->add()),
                          "MPI_Ibcast");
    return operation->start();
  }
  Request send(AnyQueue, const void* data, index_t count, DType type, int peer, Channel channel) override {
    const auto operation = begin({Kind::send, count, type, Reduce::sum, peer, channel});
    const MpiExtent extent(count, type, max_count());
    operation->check_call(
        MPI_Isend(data, extent.count, extent.type, peer, tag_of(channel), group_->first, operation->add()),
        "MPI_Isend");
    return operation->start();
  }
  Request receive(AnyQueue, void* data, index_t count, DType type, int peer, Channel channel) override {
    const auto operation = begin({Kind::receive, count, type, Reduce::sum, peer, channel});
    const MpiExtent extent(count, type, max_count());
    operation->check_call(
        MPI_Irecv(data, extent.count, extent.type, peer, tag_of(channel), group_->first, operation->add(count)),
        "MPI_Irecv");
    return operation->start();
  }
  Request barrier() override {
    const auto operation = begin({Kind::barrier});
    operation->check_call(MPI_Ibarrier(group_->first, operation->add()), "MPI_Ibarrier");
    return operation->start();
  }
  /// Making an MPI communicator blocks without a deadline. So the members first tell each other, with one, that all of
  /// them have come.
  std::shared_ptr<HostBackend> group(std::span<const int> ranks, std::string name) override {
    MpiContext& context = *group_->context;
    const Operation what{Kind::group};
    if (!context.closed.empty()) throw CommError(group_->error_start(what) + context.closed);
    auto made = std::make_shared<MpiGroup>(MpiGroup{group_->context, {}, std::move(name)});
    for (int r : ranks) {
      check(r >= 0 && r < size(), "a group is made of ranks of the group that it comes from");
      made->ranks.push_back(group_->ranks[static_cast<std::size_t>(r)]);
    }
    made->rank = static_cast<int>(std::ranges::find(ranks, rank()) - ranks.begin());
    check(made->rank < made->size(), "a rank can't make a group that it does not belong to");

    std::vector<int> missing;
    std::vector<MPI_Request> sent, arrived;
    for (int r : made->ranks) {
      if (r == context.rank) continue;
      missing.push_back(r);
      check_mpi(MPI_Isend(nullptr, 0, MPI_BYTE, r, 0, context.control, &sent.emplace_back()), "MPI_Isend");
      check_mpi(MPI_Irecv(nullptr, 0, MPI_BYTE, r, 0, context.control, &arrived.emplace_back()), "MPI_Irecv");
    }
    const bool complete =
        poll_answers(MpiClock::now() + context.timeout, missing, arrived, [&] { context.progress(); });
    if (!complete) {
      const std::string error = concat(made->error_start(what), "timed out after ", context.timeout.count(),
                                       " ms: ", rank_list(missing), " did not arrive");
      context.fail_all("the rank has failed before: " + error);
      throw CommError(error);
    }
    check_mpi(MPI_Waitall(static_cast<int>(sent.size()), sent.data(), MPI_STATUSES_IGNORE), "MPI_Waitall");

    MPI_Group world, members;
    check_mpi(MPI_Comm_group(context.control, &world), "MPI_Comm_group");
    check_mpi(MPI_Group_incl(world, made->size(), made->ranks.data(), &members), "MPI_Group_incl");
    check_mpi(MPI_Comm_create_group(context.control, members, 0, &made->first), "MPI_Comm_create_group");
    check_mpi(MPI_Comm_dup(made->first, &made->second), "MPI_Comm_dup");
    MPI_Group_free(&members);
    MPI_Group_free(&world);
    context.groups.push_back(made);
    return std::make_shared<MpiBackend>(std::move(made));
  }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override {
    return std::exchange(group_->context->timeout, timeout);
  }
  void set_step(std::int64_t step) override { group_->context->step = step; }

 private:
  using Kind = Operation::Kind;
  std::shared_ptr<MpiOperation> begin(const Operation& what) { return std::make_shared<MpiOperation>(group_, what); }
  /// All ranks send all they have to all, and each adds it up.
  Request reduce_small(void* data, index_t count, DType type, Reduce op) {
    const auto operation = begin({Kind::all_reduce, count, type, op});
    std::byte* all = operation->scratch(size() * count);
    const MpiExtent extent(count, type, max_count());
    operation->check_call(MPI_Iallgather(data, extent.count, extent.type, all, extent.count, extent.type, group_->first,
                                         operation->add()),
                          "MPI_Iallgather");
    operation->then = [=, n = size()] { reduce_consecutive(all, n, data, count, type, op); };
    return operation->start();
  }
  /// Block r of every rank goes to rank r, which adds; the sums go to all.
  Request reduce_blocks(void* data, index_t count, DType type, Reduce op) {
    const auto operation = begin({Kind::all_reduce, count, type, op});
    const int n = size();
    const index_t block = ceil_div(count, n);
    std::vector<int>&lengths = operation->integers(), &offsets = operation->integers(), &mine = operation->integers(),
    &places = operation->integers();
    for (int r = 0; r < n; ++r) {
      offsets.push_back(static_cast<int>(std::min(count, r * block)));
      lengths.push_back(static_cast<int>(std::min(count, (r + 1) * block)) - offsets.back());
    }
    const int own = lengths[static_cast<std::size_t>(rank())], at = offsets[static_cast<std::size_t>(rank())];
    mine.assign(static_cast<std::size_t>(n), own);
    for (int r = 0; r < n; ++r) places.push_back(r * own);
    std::byte* blocks = operation->scratch(index_t{n} * own);
    operation->check_call(MPI_Ialltoallv(data, lengths.data(), offsets.data(), mpi_type(type), blocks, mine.data(),
                                         places.data(), mpi_type(type), group_->first, operation->add()),
                          "MPI_Ialltoallv");
    operation->take_turn();
    operation->then = [=, op_state = operation.get(), second = group_->second, &lengths, &offsets] {
      reduce_consecutive(blocks, n, advance(data, at, type), own, type, op);
      op_state->check_call(MPI_Iallgatherv(MPI_IN_PLACE, 0, mpi_type(type), data, lengths.data(), offsets.data(),
                                           mpi_type(type), second, op_state->add()),
                           "MPI_Iallgatherv");
    };
    return operation->start();
  }
  index_t max_count() const { return group_->context->max_count; }

  std::shared_ptr<MpiGroup> group_;
};

}  // namespace ashlar::inline v0::detail
