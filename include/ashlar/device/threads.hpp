// How many threads the Cpu device uses. Ranks of one machine share its cores.
#pragma once

#include <algorithm>
#include <cstdlib>

#include "ashlar/core/platform.hpp"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace ashlar::inline v0 {

/// Gives this process its part of the cores that it may run on, `processes` of which share them; at least one thread.
/// Does nothing where the user has set OMP_NUM_THREADS, or without OpenMP.
inline void share_cores([[maybe_unused]] int processes) {
#if defined(_OPENMP)
  if (!std::getenv("OMP_NUM_THREADS")) omp_set_num_threads(std::max(1, omp_get_num_procs() / std::max(1, processes)));
#endif
}

/// How many processes of this job the launcher started on this machine; `all` where it doesn't say.
inline int processes_here(int all) {
  for (const char* name : {"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"})
    if (const char* value = std::getenv(name))
      if (const int n = std::atoi(value); n > 0) return n;
  return all;
}

}  // namespace ashlar::inline v0
