#include "ashlar/comm/local.hpp"

#include <atomic>
#include <condition_variable>

#include "catch.hpp"
#include "comm/laws.hpp"

using namespace ashlar;
using namespace std::chrono_literals;
using laws::on_host;

namespace {

Cpu::Queue here;

/// What `f` throws as E, as text; "" when it throws nothing.
template <class E, class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "";
}

/// A gate that one rank holds closed until the others have done what the test is about.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    ++opened_;
    changed_.notify_all();
  }
  void wait_for(int times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return opened_ >= times; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int opened_ = 0;
};

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the communicator's laws hold for threads", "[comm]") {
  const int size = GENERATE(1, 2, 3, 4, 8);
  INFO("ranks: " << size);
  REQUIRE_NOTHROW(laws::communicator_laws<Cpu>([](int n, const laws::Body& body) { LocalWorld::run(n, body); }, size));
}

TEST_CASE("the group of one needs no backend", "[comm]") {
  Communicator alone;
  laws::laws_of_type<float>(laws::Rank<Cpu>{alone, here});
  REQUIRE(alone.group(std::vector<int>{0}, "one").size() == 1);
  REQUIRE(alone.split(0, 0, "one").size() == 1);
  float x = 0;
  REQUIRE_THROWS_AS(alone.send(here, on_host(&x, 1), 0, {}), Error);
}

TEST_CASE("a rank that dies is named to all who wait, and its own exception is rethrown", "[comm]") {
  std::string seen[4];
  const std::string cause = error_of<std::logic_error>([&] {
    LocalWorld::run(4, [&](Communicator c) {
      c.set_step(17);
      const auto me = static_cast<std::size_t>(c.rank());
      std::vector<int> pair{c.rank() / 2 * 2, c.rank() / 2 * 2 + 1};
      Communicator tp = c.group(pair, "tp");
      c.barrier();
      if (c.rank() == 2) throw std::logic_error("the disk is full");
      std::vector<float> x(100);
      seen[me] = error_of<CommError>([&] {
        if (c.rank() == 3) tp.all_reduce(here, on_host(x.data(), 100)).wait();
        if (c.rank() == 1) c.receive(here, on_host(x.data(), 100), 2, {9}).wait();
        if (c.rank() == 0) c.barrier();
      });
      const std::string later = error_of<CommError>([&] { tp.send(here, on_host(x.data(), 100), 1 - tp.rank(), {0}); });
      laws::expect(contains(later, "rank 2 died"), "operations after a death fail: ", later);
      throw CommError(seen[me]);
    });
  });
  REQUIRE(cause == "the disk is full");
  REQUIRE(seen[3] == "rank 3, step 17, group tp, all_reduce (sum) of 100 F32: rank 2 died: the disk is full");
  REQUIRE(seen[1] ==
          "rank 1, step 17, group world, receive of 100 F32 from rank 2 on channel 9: rank 2 died: the disk "
          "is full");
  REQUIRE(seen[0] == "rank 0, step 17, group world, barrier: rank 2 died: the disk is full");
}

TEST_CASE("an exception that leaves a request pending does not wait for the peers", "[comm]") {
  // The timeout is an hour: the test only ends if the death is seen at once.
  const std::string cause = error_of<std::logic_error>([] {
    LocalWorld::run(2,
                    [](Communicator c) {
                      float x = 1, y = 1;
                      if (c.rank() == 1) return c.receive(here, on_host(&x, 1), 0, {0}).wait();
                      Request sum = c.all_reduce(here, on_host(&x, 1));
                      Request message = c.receive(here, on_host(&y, 1), 1, {0});
                      throw std::logic_error("lost");
                    },
                    {.timeout = 1h});
  });
  REQUIRE(cause == "lost");
}

TEST_CASE("a rank that hangs is named at the timeout", "[comm]") {
  std::string collective[4], message;
  Gate gate;
  LocalWorld::run(4,
                  [&](Communicator c) {
                    c.set_step(3);
                    c.set_timeout(30ms);
                    if (c.rank() == 1) return gate.wait_for(3);
                    float x = 1;
                    if (c.rank() == 2)
                      message = error_of<CommError>([&] { c.receive(here, on_host(&x, 1), 1, {4}).wait(); });
                    std::vector<int> three{0, 1, 3};
                    if (c.rank() != 2)
                      collective[c.rank()] = error_of<CommError>(
                          [&] { c.group(three, "dp_shard").all_reduce(here, on_host(&x, 1)).wait(); });
                    gate.open();
                  },
                  {.timeout = 1h});
  REQUIRE(message ==
          "rank 2, step 3, group world, receive of 1 F32 from rank 1 on channel 4: timed out after 30 ms: rank "
          "1 did not send it");
  // The second to time out may learn it from the first: "rank 0 gave up: timed out ...".
  const std::string start = ", step 3, group dp_shard, all_reduce (sum) of 1 F32: ", late = "rank 1 did not arrive";
  REQUIRE(contains(collective[0], "rank 0" + start));
  REQUIRE(contains(collective[3], "rank 3" + start));
  REQUIRE(contains(collective[0], late));
  REQUIRE(contains(collective[3], late));
}

TEST_CASE("a rank that comes after its peers gave up learns it, and their buffers are left alone", "[comm]") {
  std::string late;
  Gate gate;
  LocalWorld::run(2, [&](Communicator c) {
    if (c.rank() == 0) {
      auto x = std::make_unique<float>(1.0f);
      c.set_timeout(10ms);
      laws::expect(!error_of<CommError>([&] { c.all_reduce(here, on_host(x.get(), 1)).wait(); }).empty(),
                   "a timeout is an error");
      x.reset();
      gate.open();
    } else {
      gate.wait_for(1);
      float x = 1;
      late = error_of<CommError>([&] { c.all_reduce(here, on_host(&x, 1)).wait(); });
    }
  });
  REQUIRE(contains(late, "rank 0 gave up: timed out after 10 ms: rank 1 did not arrive"));
}

TEST_CASE("a rank that ends early is named at once", "[comm]") {
  std::string collective, message;
  LocalWorld::run(3,
                  [&](Communicator c) {
                    float x = 1;
                    if (c.rank() == 1)
                      collective = error_of<CommError>([&] { c.all_reduce(here, on_host(&x, 1)).wait(); });
                    if (c.rank() == 2)
                      message = error_of<CommError>([&] { c.receive(here, on_host(&x, 1), 0, {4}).wait(); });
                  },
                  {.timeout = 1h});
  REQUIRE(contains(collective, "ended without it"));
  REQUIRE(contains(message, "rank 0 ended without sending it"));
}

TEST_CASE("calls that do not match are an error that names both", "[comm]") {
  struct Case {
    std::function<void(Communicator)> zero, one;
    std::string expected[2];
  };
  float x[12] = {}, y[12] = {};
  double z[8] = {};
  const std::vector<index_t> two{2, 2}, three{3, 3};
  const Case cases[] = {
      {[&](Communicator c) { c.all_reduce(here, on_host(x, 2)).wait(); },
       [&](Communicator c) { c.all_gather<float, Cpu>(here, on_host(y, 2), on_host(y + 2, 4)).wait(); },
       {"rank 0 called all_reduce (sum) of 2 F32", "rank 1 called all_gather of 2 F32"}},
      {[&](Communicator c) { c.all_reduce(here, on_host(x, 2)).wait(); },
       [&](Communicator c) { c.all_reduce(here, on_host(y, 3)).wait(); },
       {"rank 0 called all_reduce (sum) of 2 F32", "rank 1 called all_reduce (sum) of 3 F32"}},
      {[&](Communicator c) { c.broadcast(here, on_host(x, 2), 0).wait(); },
       [&](Communicator c) { c.broadcast(here, on_host(z, 2), 0).wait(); },
       {"rank 0 called broadcast of 2 F32 from rank 0", "rank 1 called broadcast of 2 F64 from rank 0"}},
      {[&](Communicator c) { c.all_reduce(here, on_host(x, 2), Reduce::sum).wait(); },
       [&](Communicator c) { c.all_reduce(here, on_host(y, 2), Reduce::max).wait(); },
       {"all_reduce (sum)", "all_reduce (max)"}},
      {[&](Communicator c) {
         c.all_to_all<float, Cpu>(here, on_host(x, 4), on_host(x + 4, 4), RowCounts<Cpu>(two, two)).wait();
       },
       [&](Communicator c) {
         c.all_to_all<float, Cpu>(here, on_host(y, 4), on_host(y + 4, 6), RowCounts<Cpu>(two, three)).wait();
       },
       {"member 0 sends 2 elements to member 1", "which expects 3"}},
      {[&](Communicator c) { c.send(here, on_host(x, 2), 1, {0}).wait(); },
       [&](Communicator c) { c.receive(here, on_host(y, 3), 0, {0}).wait(); },
       {"receive of 3 F32 from rank 0", "send of 2 F32 to rank 1"}}};
  for (const Case& test : cases) {
    const std::string error =
        error_of<CommError>([&] { LocalWorld::run(2, [&](Communicator c) { (c.rank() ? test.one : test.zero)(c); }); });
    for (const std::string& part : test.expected) {
      INFO(error << " should say: " << part);
      CHECK(contains(error, part));
    }
  }
}

TEST_CASE("a group is made by its members, of ranks that exist", "[comm]") {
  LocalWorld::run(2, [](Communicator c) {
    const std::vector<int> others{1 - c.rank(), 5}, wrong{0, 2};
    laws::expect(contains(error_of<Error>([&] { c.group(others, "x"); }), "rank"), "not a member");
    laws::expect(contains(error_of<Error>([&] { c.group(wrong, "x"); }), "rank"), "no such rank");
  });
}
