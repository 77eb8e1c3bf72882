// Instances that recipes share, of templates over fixed types: where ASHLAR_COMPILED is 1, a program takes these, and
// all that stands in an .ipp, from a library that ashlar_compile made instead of compiling it, and a recipe compiles in
// less than half the time. Where it is 0 nothing here is read. Read next: ops/cpu_instances.hpp, the kernels.
#pragma once

#include "ashlar/core/initializer.hpp"
#include "ashlar/report/matmul_rate.hpp"

namespace ashlar::inline v0 {

ASHLAR_INSTANCE void InitialValues::fill<float>(index_t, index_t, float*) const;
ASHLAR_INSTANCE double measure_matmul_rate<float, Cpu>(Cpu::Queue&);
ASHLAR_INSTANCE double measure_matmul_rate<bf16, Cpu>(Cpu::Queue&);

}  // namespace ashlar::inline v0
