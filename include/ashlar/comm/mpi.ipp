// Definitions of mpi.hpp: how a session begins and ends. Included by it, or compiled once (cmake/instances/host.cpp).
#pragma once

#include <numeric>

#include "ashlar/comm/mpi.hpp"
#include "ashlar/comm/mpi_backend.hpp"

namespace ashlar::inline v0 {

ASHLAR_ONCE MpiSession::MpiSession(const MpiOptions& options) {
  if (!detail::under_mpi_launcher()) return;
  int initialized = 0, provided = 0;
  detail::check_mpi(MPI_Initialized(&initialized), "MPI_Initialized");
  if (!initialized) {
    detail::check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    finalizes_ = true;
  }
  context_ = std::make_shared<detail::MpiContext>();
  MPI_Comm_rank(MPI_COMM_WORLD, &context_->rank);
  MPI_Comm_size(MPI_COMM_WORLD, &context_->size);
  context_->timeout = options.timeout;
  context_->max_count = options.max_count;
  auto group = std::make_shared<detail::MpiGroup>(detail::MpiGroup{context_, {}, "world", context_->rank});
  group->ranks.resize(static_cast<std::size_t>(context_->size));
  std::iota(group->ranks.begin(), group->ranks.end(), 0);
  // Communicators made from these inherit that errors come back as codes instead of ending the process.
  for (MPI_Comm* comm : {&context_->control, &group->first, &group->second}) {
    detail::check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, comm), "MPI_Comm_dup");
    MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN);
  }
  context_->groups.push_back(group);
  world_ = Communicator(std::make_shared<detail::MpiBackend>(std::move(group)));
}

ASHLAR_ONCE void MpiSession::end() {
  context_->closed = "the MPI session has ended";
  const bool broken = context_->broken || !context_->active.empty() || std::uncaught_exceptions() > 0;
  for (const auto& group : context_->groups) {
    if (broken) continue;
    MPI_Comm_free(&group->first);
    MPI_Comm_free(&group->second);
  }
  context_->groups.clear();
  if (broken) return;
  MPI_Comm_free(&context_->control);
  if (finalizes_) MPI_Finalize();
}

ASHLAR_ONCE void MpiSession::abort(int code) {
  if (context_) MPI_Abort(MPI_COMM_WORLD, code);
}

}  // namespace ashlar::inline v0
