// The numbers of one step of Muon. Read next: ops/muon/muon.hpp.
#pragma once

namespace ashlar::inline v0::ops {

struct MomentumStep {
  double momentum;
  bool nesterov;
};

struct DescentStep {
  double lr, weight_decay;
  double rate;  // lr, adjusted to the matrix's shape
};

}  // namespace ashlar::inline v0::ops
