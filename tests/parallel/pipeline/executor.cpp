#include "ashlar/parallel/pipeline/executor.hpp"

#include <cmath>
#include <limits>
#include <map>
#include <memory>

#include "ashlar/comm/local.hpp"
#include "ashlar/parallel/pipeline/csv.hpp"
#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

namespace {

/// REQUIRE for the ranks' threads (Catch's assertions belong to the main one).
void expect(bool condition, SourceLocation where = SourceLocation::current()) {
  check(condition, "a promise of the executor is broken", where);
}

using View = TensorView<double, Cpu>;

/// What crosses: an image stream and a text stream of another length, as views of stage memory.
struct Streams {
  double* image = nullptr;
  double* text = nullptr;
};

constexpr index_t image_size = 5, text_size = 3;

/// One stage: image' = w * image + text[0], text' = v * text + b, elementwise. The last stage's loss is half the
/// squared sum of both. Holds pointers to what it was given, as a real stage does, and turns its memory into NaN once
/// `sent` says that nobody needs it: what is released early shows in the gradients.
class Toy {
 public:
  using Boundary = Streams;
  using Queue = Cpu::Queue;

  Toy(int number, bool first, bool last, int broken = -1)
      : number_(number), first_(first), last_(last), broken_(broken) {}

  Streams forward(int m, Streams in) {
    if (m == broken_) fail(concat("micro-batch ", m, " is too much"));
    Batch& batch = batches_[m];
    expect(!batch.input.image);
    if (first_) {
      batch.own_input.resize(8);
      for (int i = 0; i < 8; ++i) batch.own_input[static_cast<std::size_t>(i)] = std::sin(1.0 + m + 0.3 * i);
      in = view(batch.own_input);
    }
    batch.input = in;
    between_blocks();
    batch.output.resize(8);
    const Streams out = view(batch.output);
    for (index_t i = 0; i < image_size; ++i) out.image[i] = w() * in.image[i] + in.text[0];
    for (index_t i = 0; i < text_size; ++i) out.text[i] = v() * in.text[i] + b();
    if (!last_) return out;
    for (double y : batch.output) loss += 0.5 * y * y;
    return {};
  }
  Streams backward(int m, Streams d_out) {
    const Streams d_in = backward_input(m, d_out);
    backward_weight(m);
    return d_in;
  }
  Streams backward_input(int m, Streams d_out) {
    Batch& batch = batches_.at(m);
    if (last_) d_out = view(batch.output);
    batch.d_output = d_out;
    between_blocks();
    batch.d_input.resize(8);
    const Streams d_in = view(batch.d_input);
    for (index_t i = 0; i < image_size; ++i) d_in.image[i] = w() * d_out.image[i];
    for (index_t i = 0; i < text_size; ++i) d_in.text[i] = v() * d_out.text[i];
    for (index_t i = 0; i < image_size; ++i) d_in.text[0] += d_out.image[i];
    return d_in;
  }
  void backward_weight(int m) {
    Batch& batch = batches_.at(m);
    expect(batch.d_output.image);
    for (index_t i = 0; i < image_size; ++i) dw += batch.d_output.image[i] * batch.input.image[i];
    for (index_t i = 0; i < text_size; ++i) {
      dv += batch.d_output.text[i] * batch.input.text[i];
      db += batch.d_output.text[i];
    }
    expect(++batch.backwards == 1);
  }
  Streams receive_buffer(int m, bool gradient) {
    std::vector<double>& buffer = (gradient ? received_gradient_ : received_)[m];
    expect(buffer.empty());
    buffer.resize(8);
    return view(buffer);
  }
  void sent(int m, bool gradient) {
    Batch& batch = batches_.at(m);
    expect(++(gradient ? batch.gradient_sent : batch.output_sent) == 1);
    for (double& x : gradient ? batch.d_input : batch.output) x = std::numeric_limits<double>::quiet_NaN();
  }
  template <class F>
  static void streams(Streams& boundary, F f) {
    f(View(boundary.image, {image_size}));
    f(View(boundary.text, {text_size}));
  }

  /// After a step: every boundary came back once, every micro-batch was worked off.
  void check_complete(int micro_batches, bool trained) const {
    expect(batches_.size() == static_cast<std::size_t>(micro_batches));
    for (const auto& [m, batch] : batches_) {
      expect(batch.backwards == (trained ? 1 : 0));
      expect(batch.output_sent == (last_ ? 0 : 1));
      expect(batch.gradient_sent == (first_ || !trained ? 0 : 1));
    }
  }
  void next_step() {
    batches_.clear();
    received_.clear();
    received_gradient_.clear();
  }

  double loss = 0, dw = 0, dv = 0, db = 0;
  std::function<void()> between_blocks = [] {};

 private:
  struct Batch {
    Streams input, d_output;
    std::vector<double> own_input, output, d_input;
    int backwards = 0, output_sent = 0, gradient_sent = 0;
  };
  static Streams view(std::vector<double>& buffer) { return {buffer.data(), buffer.data() + image_size}; }
  double w() const { return 1.1 - 0.07 * number_; }
  double v() const { return 0.9 + 0.05 * number_; }
  double b() const { return 0.01 * number_; }

  int number_;
  bool first_, last_;
  int broken_;  // the micro-batch at which forward throws; -1: none
  std::map<int, Batch> batches_;
  std::map<int, std::vector<double>> received_, received_gradient_;
};
static_assert(PipelineStage<Toy>);

struct Result {
  double loss, dw, dv, db;
  friend bool operator==(const Result&, const Result&) = default;
};

/// A backend that is as late as it may be: a send reads its buffer only when it was tested three times, or when this
/// rank waits for something (so do MPI's rendezvous messages). A boundary that is released early arrives as NaN.
class LateSends final : public HostBackend {
 public:
  explicit LateSends(Communicator inner) : inner_(std::move(inner)) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  Request send(AnyQueue queue, const void* data, index_t count, DType type, int peer, Channel channel) override {
    auto late = std::make_shared<Send>();
    late->deliver = [=, this] { inner_.host_backend()->send(queue, data, count, type, peer, channel).wait(); };
    pending_.push_back(late);
    return Request(late);
  }
  Request receive(AnyQueue queue, void* data, index_t count, DType type, int peer, Channel channel) override {
    auto state = std::make_shared<Receive>();
    state->sends = &pending_;
    state->inner = inner_.host_backend()->receive(queue, data, count, type, peer, channel);
    return Request(state);
  }
  Request all_reduce(AnyQueue, void*, index_t, DType, Reduce) override { return unused(); }
  Request all_gather(AnyQueue, const void*, void*, index_t, DType) override { return unused(); }
  Request reduce_scatter(AnyQueue, const void*, void*, index_t, DType, Reduce) override { return unused(); }
  Request all_to_all(AnyQueue, const void*, std::span<const index_t>, void*, std::span<const index_t>, DType) override {
    return unused();
  }
  Request broadcast(AnyQueue, void*, index_t, DType, int) override { return unused(); }
  Request barrier() override { return unused(); }
  std::shared_ptr<HostBackend> group(std::span<const int>, std::string) override { fail("not called"); }
  std::chrono::milliseconds set_timeout(std::chrono::milliseconds timeout) override { return timeout; }
  void set_step(std::int64_t) override {}

 private:
  static Request unused() { fail("the executor only sends and receives"); }
  struct Send final : Request::State {
    std::function<void()> deliver;
    int tests = 0;
    void wait(AnyQueue) override {
      if (deliver) std::exchange(deliver, nullptr)();
    }
    bool test() override {
      if (++tests > 3 && deliver) std::exchange(deliver, nullptr)();
      return !deliver;
    }
    void abandon() noexcept override { deliver = nullptr; }
  };
  struct Receive final : Request::State {
    std::vector<std::shared_ptr<Send>>* sends;
    Request inner;
    void wait(AnyQueue queue) override {
      for (const auto& send : *sends) send->wait(queue);
      sends->clear();
      inner.wait();
    }
    bool test() override { return inner.test(); }
    void abandon() noexcept override { inner.abandon(); }
  };

  Communicator inner_;
  std::vector<std::shared_ptr<Send>> pending_;
};

/// The gradients of all stages after `steps` equal steps under the schedule.
std::vector<Result> run(const Schedule& schedule, int steps = 1, bool late = false) {
  const bool trained = forward_only(schedule) != schedule;
  const Schedule lowered = lower(schedule);
  std::vector<Result> results(static_cast<std::size_t>(schedule.stages));
  const auto body = [&](Communicator world) {
    const Communicator pp = late ? Communicator(std::make_shared<LateSends>(world)) : world;
    std::vector<std::unique_ptr<Toy>> owned;
    std::vector<Toy*> stages;
    for (int s = 0; s < schedule.stages; ++s) {
      const bool mine = schedule.rank_of(s) == pp.rank();
      stages.push_back(mine ? owned.emplace_back(std::make_unique<Toy>(s, s == 0, schedule.last(s))).get() : nullptr);
    }
    Cpu::Queue queue;
    Executor<Toy> executor(lowered, stages, pp, queue);
    if (late)
      for (const auto& toy : owned) toy->between_blocks = [&] { executor.progress(); };
    for (int step = 0; step < steps; ++step) {
      for (const auto& toy : owned) toy->next_step();
      executor.run();
      for (const auto& toy : owned) toy->check_complete(schedule.micro_batches, trained);
    }
    for (int s = 0; s < schedule.stages; ++s)
      if (const Toy* toy = stages[static_cast<std::size_t>(s)])
        results[static_cast<std::size_t>(s)] = {toy->loss, toy->dw, toy->dv, toy->db};
  };
  if (schedule.ranks == 1)
    body(Communicator());
  else
    LocalWorld::run(schedule.ranks, body);
  return results;
}

/// All stages on one rank, one micro-batch after the other.
Schedule sequential(int stages, int micro_batches) {
  Schedule schedule = empty_schedule(1, std::vector<int>(static_cast<std::size_t>(stages), 0), micro_batches);
  for (int m = 0; m < micro_batches; ++m) {
    for (int s = 0; s < stages; ++s) schedule.actions[0].push_back({Kind::forward, s, m});
    for (int s = stages; s-- > 0;) schedule.actions[0].push_back({Kind::backward, s, m});
  }
  return schedule;
}

}  // namespace

TEST_CASE("One stage, one micro-batch: the gradients by hand") {
  const std::vector<Result> one = run(sequential(1, 1));
  double x[8], dw = 0, dv = 0, db = 0, loss = 0;
  for (int i = 0; i < 8; ++i) x[i] = std::sin(1.0 + 0.3 * i);
  for (int i = 0; i < 8; ++i) {
    const double y = i < 5 ? 1.1 * x[i] + x[5] : 0.9 * x[i];
    loss += 0.5 * y * y;
    (i < 5 ? dw : dv) += y * x[i];
    db += i < 5 ? 0 : y;
  }
  REQUIRE(one[0].loss == Approx(loss));
  REQUIRE(one[0].dw == Approx(dw));
  REQUIRE(one[0].dv == Approx(dv));
  REQUIRE(one[0].db == Approx(db));
}

TEST_CASE("Every schedule has the gradients of the one-rank run, to the bit") {
  for (const NamedSchedule& named : named_schedules)
    for (int ranks : {1, 2, 3, 4})
      for (int m = 1; m <= 9; ++m) {
        CAPTURE(named.name, ranks, m);
        const Schedule schedule = named.make(ranks, m);
        const std::vector<Result> expected = run(sequential(schedule.stages, m), 2);
        REQUIRE(run(schedule, 2) == expected);
        if (ranks > 1) REQUIRE(run(schedule, 1, true) == run(sequential(schedule.stages, m), 1));
      }
}

TEST_CASE("A schedule of another layout: three stages a rank, some neighbours on one rank") {
  Schedule schedule = empty_schedule(2, {0, 0, 1, 0, 1, 1}, 3);
  for (int m = 0; m < 3; ++m)
    for (int s = 0; s < 6; ++s)
      schedule.actions[static_cast<std::size_t>(schedule.rank_of(s))].push_back({Kind::forward, s, m});
  for (Kind kind : {Kind::backward_input, Kind::backward_weight})
    for (int m = 0; m < 3; ++m)
      for (int s = 6; s-- > 0;) schedule.actions[static_cast<std::size_t>(schedule.rank_of(s))].push_back({kind, s, m});
  REQUIRE_FALSE(find_problem(schedule));
  REQUIRE(run(schedule, 2) == run(sequential(6, 3), 2));
  REQUIRE(run(schedule, 1, true) == run(sequential(6, 3), 1));
}

TEST_CASE("Ranks may take micro-batches in different orders: what is needed late is received early") {
  const Schedule schedule = parse_csv("0F0,0F1,0F2,0B1,0B0,0B2\n1F2,1F0,1F1,1B1,1B2,1B0\n", "x");
  REQUIRE_FALSE(find_problem(lower(schedule)));
  const std::vector<Result> expected = run(sequential(2, 3));
  for (bool late : {false, true}) {
    const std::vector<Result> results = run(schedule, 1, late);
    for (std::size_t s = 0; s < 2; ++s) {  // sums in another order
      REQUIRE(results[s].loss == Approx(expected[s].loss).epsilon(1e-12));
      REQUIRE(results[s].dw == Approx(expected[s].dw).epsilon(1e-12));
      REQUIRE(results[s].dv == Approx(expected[s].dv).epsilon(1e-12));
      REQUIRE(results[s].db == Approx(expected[s].db).epsilon(1e-12));
    }
  }
}

TEST_CASE("Validation: forwards alone give the same loss, and every boundary is released") {
  for (const NamedSchedule& named : named_schedules)
    for (int ranks : {1, 2, 3}) {
      const Schedule schedule = named.make(ranks, 4);
      const std::vector<Result> validated = run(forward_only(schedule));
      REQUIRE(validated.back().loss == run(sequential(schedule.stages, 4)).back().loss);
      REQUIRE(validated.back().dw == 0);
    }
}

TEST_CASE("An error in a stage ends the step on all ranks, and names itself") {
  const Schedule lowered = lower(one_f_one_b(3, 4));
  const auto body = [&](Communicator pp) {
    Toy toy(pp.rank(), pp.rank() == 0, pp.rank() == 2, pp.rank() == 1 ? 2 : -1);
    std::vector<Toy*> stages(3, nullptr);
    stages[static_cast<std::size_t>(pp.rank())] = &toy;
    Cpu::Queue queue;
    Executor<Toy>(lowered, stages, pp, queue).run();
  };
  REQUIRE_THROWS_WITH(LocalWorld::run(3, body), Catch::Matchers::StartsWith("micro-batch 2 is too much"));
}

TEST_CASE("An executor needs its own stages, and a group of the schedule's size") {
  Toy first(0, true, false), second(1, false, true);
  const Schedule two = lower(sequential(2, 1));
  Cpu::Queue queue;
  REQUIRE_NOTHROW(Executor<Toy>(two, {&first, &second}, {}, queue));
  REQUIRE_THROWS_AS(Executor<Toy>(two, {&first, nullptr}, {}, queue), Error);
  REQUIRE_THROWS_AS(Executor<Toy>(two, {&first}, {}, queue), Error);
  REQUIRE_THROWS_AS(Executor<Toy>(lower(gpipe(2, 1)), {&first, nullptr}, {}, queue), Error);
  LocalWorld::run(2, [&](Communicator pp) {
    Toy mine(pp.rank(), pp.rank() == 0, pp.rank() == 1);
    const auto both = [&] { Executor<Toy>(lower(gpipe(2, 1)), {&mine, &mine}, pp, queue); };
    bool refused = false;
    try {
      both();
    } catch (const Error&) {
      refused = true;
    }
    expect(refused);
  });
}

TEST_CASE("An executor refuses a schedule under which micro-batches would be taken for each other") {
  Schedule swapped = lower(gpipe(2, 2));
  std::swap(swapped.actions[1][0], swapped.actions[1][2]);
  std::swap(swapped.actions[1][1], swapped.actions[1][3]);
  const auto body = [&](Communicator pp) {
    Cpu::Queue queue;
    Toy mine(pp.rank(), pp.rank() == 0, pp.rank() == 1);
    std::vector<Toy*> stages(2, nullptr);
    stages[static_cast<std::size_t>(pp.rank())] = &mine;
    std::string error;
    try {
      Executor<Toy>(swapped, stages, pp, queue);
    } catch (const Error& e) {
      error = e.what();
    }
    expect(error.find("both are message 0 of their channel") != std::string::npos);
  };
  REQUIRE_NOTHROW(LocalWorld::run(2, body));
}

TEST_CASE("A schedule that was not lowered is an error, not a wrong result") {
  const auto body = [&](Communicator pp) {
    Toy toy(pp.rank(), pp.rank() == 0, pp.rank() == 1);
    std::vector<Toy*> stages(2, nullptr);
    stages[static_cast<std::size_t>(pp.rank())] = &toy;
    Cpu::Queue queue;
    Executor<Toy>(gpipe(2, 1), stages, pp, queue).run();
  };
  REQUIRE_THROWS_AS(LocalWorld::run(2, body), Error);
}
