// Instances of ops/gradient_norm for float.
#include "ashlar/ops/gradient_norm/cuda.cuh"

namespace ashlar::inline v0::ops::cuda {

template void sum_of_squares<float>(Cuda::Queue&, TensorView<const float, Cuda> x, TensorView<double, Cuda> sum,
                                    TensorView<double, Cuda> workspace);
template void clip_scale<float>(Cuda::Queue&, TensorView<const double, Cuda> sum_of_squares, double max_norm,
                                TensorView<float, Cuda> norm_and_scale);

}  // namespace ashlar::inline v0::ops::cuda
