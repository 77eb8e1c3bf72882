// One mixture-of-experts layer of the shape of Qwen3 30B-A3B on Cuda: 16,384 tokens to 8 of 128 experts, forward and
// backward. A smaller layer is first compared with the same layer on Cpu. Usage: moe_layer FILE.jsonl.
#include <deque>

#include "ashlar/moe/moe.hpp"
#include "device_timing.hpp"
#include "kernels/host_copy.hpp"
#include "kernels/random_values.hpp"

using namespace ashlar;
using namespace ashlar::benchmark;

namespace {

using Mixture = MoE<TopK<Softmax>>;

/// A module outside of a trainer: its parameters are bound to tensors, and each pass gets a context.
template <class D>
class Layer {
 public:
  using E = Environment<D, bf16>;

  Layer(RandomValues& random, typename D::Queue& queue, index_t tokens, index_t dim, const MoeSizes& sizes)
      : queue_(queue), declarations_(memory_, queue, {}, {}), moe_(declarations_, dim, sizes, 0.02) {
    for (auto& entry : declarations_.take()) {
      Tensor<bf16, D>& value = values_.emplace_back(memory_, entry.local_shape);
      random.normal(value, 0.02f);
      entry.parameter->value = value.view();
      Tensor<float, D>& gradient = gradients_.emplace_back(memory_, entry.local_shape);
      gradient.zero(queue);
      entry.parameter->gradient = gradient.view();
    }
    for (Tensor<bf16, D>* tensor : {&x_, &dy_}) {
      *tensor = Tensor<bf16, D>(memory_, {tokens, dim});
      random.normal(*tensor);
    }
  }

  TensorView<bf16, D> forward() {
    kept_.clear();
    scratch_.clear();
    Context<E> c = context();
    return moe_.forward(c, x_.view(), saved_);
  }
  TensorView<bf16, D> backward() {
    scratch_.clear();
    Context<E> c = context();
    c.phase = Phase::backward;
    return moe_.backward(c, dy_.view(), saved_);
  }
  const std::deque<Tensor<float, D>>& gradients() const { return gradients_; }
  const Memory<D>& memory() const { return memory_; }

 private:
  Context<E> context() {
    Context<E> c(queue_, scratch_);
    c.kept_arena = &kept_;
    c.count_routing = true;
    return c;
  }

  typename D::Queue& queue_;
  Memory<D> memory_;
  Declarations<E> declarations_;
  MixtureOfExperts<E, Mixture> moe_;
  std::deque<Tensor<bf16, D>> values_;
  std::deque<Tensor<float, D>> gradients_;
  Tensor<bf16, D> x_, dy_;
  Arena<D> kept_{memory_}, scratch_{memory_};
  typename MixtureOfExperts<E, Mixture>::Saved saved_;
};

std::vector<double> values(Cuda::Queue& queue, TensorView<const bf16, Cuda> x) {
  return read_all(queue, x).values;
}
std::vector<double> values(Cuda::Queue& queue, TensorView<const float, Cuda> x) {
  return read_all(queue, x).values;
}
template <class T>
std::vector<double> values(Cuda::Queue&, TensorView<T, Cpu> x) {
  return std::vector<double>(x.data(), x.data() + x.count());
}

/// The distance of two vectors as a share of the length of `want`.
double distance(const std::vector<double>& got, const std::vector<double>& want) {
  double difference = 0, length = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += (got.at(i) - want[i]) * (got.at(i) - want[i]);
    length += want[i] * want[i];
  }
  return std::sqrt(difference / length);
}

template <class D>
std::vector<std::vector<double>> small_layer(Cuda::Queue& cuda, typename D::Queue& queue) {
  RandomValues random(cuda);
  Layer<D> layer(random, queue, 1024, 256,
                 {.num_experts = 16, .top_k = 4, .hidden_dim = 128, .route_norm = true, .load_balance_coeff = 0});
  std::vector<std::vector<double>> out;
  out.push_back(values(cuda, layer.forward()));
  out.push_back(values(cuda, layer.backward()));
  for (const auto& gradient : layer.gradients()) out.push_back(values(cuda, gradient.view()));
  return out;
}

double small_layer_error(Cuda::Queue& cuda) {
  Cpu::Queue host;
  const auto want = small_layer<Cpu>(cuda, host), got = small_layer<Cuda>(cuda, cuda);
  double worst = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double error = distance(got.at(i), want[i]);
    if (!(error <= worst)) worst = std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
  }
  return worst;
}

void write(std::FILE* file, const Side& side, double error) {
  print(side, 1e12, "TFLOP/s");
  std::fprintf(file,
               "{\"row\":\"%s\",\"side\":\"ashlar\",\"value\":%.6g,\"unit\":\"TFLOP/s\",\"milliseconds\":%.6g,"
               "\"amount\":%.10g,\"spread\":%.3g,\"error\":%.3g}\n",
               side.name.c_str(), side.rate() / 1e12, 1e3 * side.median(), side.amount / 1e12, side.spread(), error);
}

int measure(std::FILE* file) {
  Cuda::Queue queue;
  const double error = small_layer_error(queue);
  std::printf("a small layer on Cuda against Cpu: distance %.1e\n", error);
  if (!(error < 0.02)) throw Error(concat("wrong result: distance ", error, " of the small layer, tolerated 0.02"));

  constexpr index_t tokens = 16384, dim = 2048, hidden = 768, num_experts = 128, top_k = 8;
  RandomValues random(queue);
  Layer<Cuda> layer(
      random, queue, tokens, dim,
      {.num_experts = num_experts, .top_k = top_k, .hidden_dim = hidden, .route_norm = true, .load_balance_coeff = 0});
  const double flops = 2.0 * tokens * dim * (3.0 * top_k * hidden + num_experts);
  Side forward{"moe layer forward, 16384 tokens to 8 of 128, 2048 x 768", flops, {}},
      backward{"moe layer backward, 16384 tokens to 8 of 128, 2048 x 768", 2 * flops, {}};
  DeviceClock forward_clock(queue), backward_clock(queue);
  constexpr int warm_up = 3, rounds = 15;
  for (int r = 0; r < warm_up + rounds; ++r) {
    forward_clock.start();
    layer.forward();
    forward_clock.stop();
    backward_clock.start();
    layer.backward();
    backward_clock.stop();
    if (r < warm_up) continue;
    forward.seconds.push_back(forward_clock.seconds());
    backward.seconds.push_back(backward_clock.seconds());
  }
  Cuda::synchronize(queue);
  write(file, forward, error);
  write(file, backward, error);
  const double gib = static_cast<double>(layer.memory().peak_allocated()) / (1 << 30);
  std::printf("peak memory %.2f GiB\n", gib);
  std::fprintf(file, "{\"row\":\"moe layer peak memory\",\"side\":\"ashlar\",\"value\":%.4g,\"unit\":\"GiB\"}\n", gib);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::FILE* const file = argc == 2 ? std::fopen(argv[1], "a") : nullptr;
  if (!file) {
    std::fprintf(stderr, "usage: moe_layer FILE.jsonl\n");
    return 2;
  }
  try {
    return measure(file);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    std::fprintf(file,
                 "{\"row\":\"moe layer forward, 16384 tokens to 8 of 128, 2048 x 768\",\"side\":\"ashlar\","
                 "\"failed\":\"see the log\"}\n");
    return 1;
  }
}
