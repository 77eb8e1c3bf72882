// The device that a build is for, so that one recipe serves laptops and GPUs: `On<BuildDevice>`.
#pragma once

#include "ashlar/core/platform.hpp"
#include "ashlar/device/cpu.hpp"
#include "ashlar/device/cuda/cuda.hpp"

#if ASHLAR_WITH_CUDA
#include "ashlar/device/cuda/runtime.hpp"
#endif

namespace ashlar::inline v0 {

/// Cuda in a build with -DASHLAR_CUDA=ON, Cpu elsewhere.
#if ASHLAR_WITH_CUDA
using BuildDevice = Cuda;
#else
using BuildDevice = Cpu;
#endif

}  // namespace ashlar::inline v0
