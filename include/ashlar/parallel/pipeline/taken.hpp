// When a rank knows that a message of its has been taken: from what it receives later. Lets the executor give memory
// back at a place in the schedule, whatever the host sees of the messages.
#pragma once

#include <cstddef>
#include <vector>

#include "ashlar/core/platform.hpp"
#include "ashlar/parallel/pipeline/action.hpp"

namespace ashlar::inline v0::pipeline {

/// By action of `rank` in a lowered schedule: for a send, the first receive after which it is certain that the
/// neighbour has computed with what was sent, because what arrives was sent after that; the number of actions where
/// none is, and for actions that are not sends. (Clocks of what each rank knows of the others: Fidge 1988, Mattern
/// 1989.)
std::vector<std::size_t> known_as_taken(const Schedule& schedule, int rank);

}  // namespace ashlar::inline v0::pipeline

#if !ASHLAR_COMPILED
#include "ashlar/parallel/pipeline/taken.ipp"
#endif
