// Mpi: the ranks are processes that an MPI launcher started, on one machine or many. Host memory only.
// MpiSession is how a program begins; without a launcher it is a world of one, and MPI is not touched.
// Read next: comm/mpi_backend.hpp.
#pragma once

#include <cstdlib>

#include "ashlar/comm/communicator.hpp"
#include "ashlar/core/platform.hpp"

namespace ashlar::inline v0 {

struct MpiOptions {
  std::chrono::milliseconds timeout{300000};   // of each operation, until set_timeout
  index_t max_count = (index_t{1} << 31) - 1;  // elements in one MPI call; tests lower it
};

namespace detail {

/// Whether an MPI launcher started this process (Open MPI, MPICH and Hydra, Slurm).
inline bool under_mpi_launcher() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_RANK", "PMI_SIZE", "PMIX_RANK"})
    if (std::getenv(name)) return true;
  return false;
}

}  // namespace detail
}  // namespace ashlar::inline v0

#if ASHLAR_WITH_MPI

namespace ashlar::inline v0 {

namespace detail {
struct MpiContext;
}

/// MPI from here to the end of the scope; one a process. After a CommError, or while an exception leaves the scope, it
/// does not finalize, which would wait for ranks that never come: end the process with a status other than zero, or
/// call abort, and the launcher ends the other ranks.
class MpiSession {
 public:
  explicit MpiSession(const MpiOptions& options = {});
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  ~MpiSession() {
    if (context_) end();
  }

  /// All ranks that the launcher started; the group of one without a launcher. Not usable after the session.
  Communicator world() const { return world_; }
  /// Ends the processes of all ranks, this one included. Without a launcher it does nothing: the caller returns `code`.
  void abort(int code);

 private:
  void end();

  std::shared_ptr<detail::MpiContext> context_;
  Communicator world_;
  bool finalizes_ = false;
};

}  // namespace ashlar::inline v0

#if !ASHLAR_COMPILED
#include "ashlar/comm/mpi.ipp"
#endif

#else

namespace ashlar::inline v0 {

/// Built without MPI: a world of one, and an error under a launcher, where each process would take itself for it.
class MpiSession {
 public:
  explicit MpiSession(const MpiOptions& = {}) {
    if (detail::under_mpi_launcher())
      throw ConfigError(
          "An MPI launcher started this program, which was built without MPI. Build it with ASHLAR_WITH_MPI=1, or "
          "start "
          "it without the launcher.");
  }
  Communicator world() const { return {}; }
  void abort(int) {}
};

}  // namespace ashlar::inline v0

#endif
