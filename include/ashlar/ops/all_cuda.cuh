// All kernels, for one file of a program that instantiates them itself (the emulator's tests do). Builds with nvcc list
// small instance files instead: cmake/instances.
#pragma once

#include "ashlar/ops/adamw/cuda.cuh"
#include "ashlar/ops/attention/cuda.cuh"
#include "ashlar/ops/balance_loss/cuda.cuh"
#include "ashlar/ops/conditioning/cuda.cuh"
#include "ashlar/ops/cross_entropy/cuda.cuh"
#include "ashlar/ops/elementwise/cuda.cuh"
#include "ashlar/ops/embedding/cuda.cuh"
#include "ashlar/ops/gradient_norm/cuda.cuh"
#include "ashlar/ops/grouped_gemm/cuda.cuh"
#include "ashlar/ops/heads/cuda.cuh"
#include "ashlar/ops/initial_values/cuda.cuh"
#include "ashlar/ops/load_balance/cuda.cuh"
#include "ashlar/ops/matmul/cuda.cuh"
#include "ashlar/ops/modulation/cuda.cuh"
#include "ashlar/ops/permutation/cuda.cuh"
#include "ashlar/ops/rms_norm/cuda.cuh"
#include "ashlar/ops/rope/cuda.cuh"
#include "ashlar/ops/router/cuda.cuh"
#include "ashlar/ops/squared_error/cuda.cuh"
#include "ashlar/ops/swiglu/cuda.cuh"
