// The groups of rows, one a file. Each runs in a process of its own: a kernel that fails takes no other group's rows
// with it.
#pragma once

#include "kernels/board.hpp"

namespace ashlar::benchmark {

void measure_ceilings(Board&, Ceilings&);  // kernels/ceilings.cpp
void measure_norms(Board&);                // kernels/norms.cpp
void measure_swiglu(Board&);               // kernels/swiglu.cpp
void measure_attention(Board&);            // kernels/attention.cpp
void measure_vocabulary(Board&);           // kernels/vocabulary.cpp
void measure_optimizer(Board&);            // kernels/optimizer.cpp
void measure_elementwise(Board&);          // kernels/elementwise.cpp
void measure_routing(Board&);              // kernels/routing.cpp
void measure_permutation(Board&);          // kernels/permutation.cpp
void measure_grouped_gemm(Board&);         // kernels/grouped_gemm.cpp

}  // namespace ashlar::benchmark
