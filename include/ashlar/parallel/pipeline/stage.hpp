// PipelineStage: what the executor asks of a stage, a run of layers with parameters. models/stage.hpp is one. Read
// next: executor.hpp.
#pragma once

#include <concepts>

#include "ashlar/core/tensor_view.hpp"

namespace ashlar::inline v0::pipeline {

namespace detail {
struct AnyStreamVisitor {
  template <class T, class D>
  void operator()(const TensorView<T, D>&) const {}
};
}  // namespace detail

/// A stage of a pipeline. `Boundary` is what crosses between two stages: a struct of one or several tensors (streams),
/// whose gradient has the same type; all stages of a model share it. Micro-batches are numbered from 0 in each step.
///
/// - forward(m, in): the output for the next stage. The first stage ignores `in`; the last one computes its loss and
///   returns an empty Boundary. What it returns stays valid and untouched until sent(m, false).
/// - backward(m, d_out): accumulates parameter gradients and returns the gradient of `in`, valid until sent(m, true).
///   The last stage ignores d_out; what the first one returns is dropped.
/// - backward_input(m, d_out), later backward_weight(m): the same in two halves.
/// - receive_buffer(m, gradient): where a boundary from another rank lands: `in` of micro-batch m, or d_out of it. It
///   is the stage's own, and may be asked for before an earlier micro-batch is computed.
/// - sent(m, gradient): nobody reads the boundary that this stage made for m any more. Called once for each boundary
///   (all but the output of the last stage and the gradient of the first): when it has left, or, where the neighbour is
///   on the same rank and got the Boundary itself, when the neighbour is through with m.
/// - streams(boundary, f): f(view) for each tensor, in an order that all ranks share, also of a boundary without
///   tensors. Contiguous; a view may be empty.
/// - Queue: of the device of these views.
template <class S>
concept PipelineStage = std::default_initializable<typename S::Boundary> && std::movable<typename S::Boundary> &&
    requires(S& stage, typename S::Boundary& boundary, typename S::Boundary (&make)(), int m, bool gradient) {
  { stage.forward(m, make()) } -> std::same_as<typename S::Boundary>;
  { stage.backward(m, make()) } -> std::same_as<typename S::Boundary>;
  { stage.backward_input(m, make()) } -> std::same_as<typename S::Boundary>;
  stage.backward_weight(m);
  { stage.receive_buffer(m, gradient) } -> std::same_as<typename S::Boundary>;
  stage.sent(m, gradient);
  S::streams(boundary, detail::AnyStreamVisitor());
  typename S::Queue;
};

}  // namespace ashlar::inline v0::pipeline
