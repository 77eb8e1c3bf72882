// The communicator's laws over processes: mpirun -n 4 mpi_laws. Exit status 0 and a closing line of rank 0 if they
// hold.
#include <cstdio>

#include "ashlar/comm/mpi.hpp"
#include "ashlar/mesh/mesh.hpp"
#include "comm/laws.hpp"

using namespace ashlar;

namespace {

/// The mesh's groups over real processes: the sum of ranks along each axis is that of the members.
void mesh_has_its_groups(Communicator world) {
  for (int tp : {1, 2, 4}) {
    if (world.size() % tp != 0) continue;
    for (int ep = 1; ep <= world.size(); ep *= 2) {
      if (world.size() % ep != 0) continue;
      Mesh mesh({.tp = tp, .ep = ep}, world);
      for (Axis axis : {Axis::dp_shard, Axis::tp, Axis::efsdp, Axis::ep}) {
        std::int32_t expected = 0;
        for (int r : Mesh::members(mesh.degrees(), world.rank(), std::vector<Axis>{axis})) expected += r;
        laws::expect(mesh.group(axis).reduce_value(std::int32_t{world.rank()}) == expected, "the group of ",
                     to_string(axis));
      }
    }
  }
}

}  // namespace

/// Argument: the largest number of elements in one MPI call (a small one makes every call take its way around that
/// limit), or none for MPI's own.
int main(int argc, char** argv) {
  MpiOptions options;
  options.timeout = std::chrono::seconds(60);
  if (argc > 1 && std::atol(argv[1]) > 0) options.max_count = std::atol(argv[1]);
  MpiSession session(options);
  Communicator world = session.world();
  try {
    int bodies = 0;
    laws::communicator_laws<Cpu>(
        [&](int, const laws::Body& body) {
          body(world);
          ++bodies;
        },
        world.size());
    mesh_has_its_groups(world);
    world.barrier();
    if (world.rank() == 0) std::printf("All laws hold (%d groups of laws on %d ranks)\n", bodies, world.size());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d: %s\n", world.rank(), e.what());
    session.abort(1);
    return 1;
  }
  return 0;
}
