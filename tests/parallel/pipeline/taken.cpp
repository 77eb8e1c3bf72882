#include "ashlar/parallel/pipeline/taken.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "ashlar/parallel/pipeline/lower.hpp"
#include "ashlar/parallel/pipeline/schedule.hpp"
#include "catch.hpp"

using namespace ashlar;
using namespace ashlar::pipeline;

namespace {

std::size_t position(const Schedule& s, const Action& a) {
  const auto& actions = s.actions[static_cast<std::size_t>(s.rank_of(a.stage))];
  return static_cast<std::size_t>(std::ranges::find(actions, a) - actions.begin());
}

/// The compute action that takes what `send` sends.
Action taker(const Schedule& s, const Action& send) {
  if (send.kind == Kind::send_forward) return {Kind::forward, send.stage + 1, send.micro_batch};
  const Action whole{Kind::backward, send.stage - 1, send.micro_batch};
  const auto& theirs = s.actions[static_cast<std::size_t>(s.rank_of(whole.stage))];
  if (std::ranges::find(theirs, whole) != theirs.end()) return whole;
  return {Kind::backward_input, send.stage - 1, send.micro_batch};
}

/// All that must be done before the action of that rank and number ends, itself included: by walking back.
void before(const Schedule& s, std::size_t rank, std::size_t number,
            std::set<std::pair<std::size_t, std::size_t>>& seen) {
  if (!seen.emplace(rank, number).second) return;
  if (number > 0) before(s, rank, number - 1, seen);
  const Action& a = s.actions[rank][number];
  std::optional<Action> send;
  if (a.kind == Kind::receive_forward) send = Action{Kind::send_forward, a.stage - 1, a.micro_batch};
  if (a.kind == Kind::receive_backward) send = Action{Kind::send_backward, a.stage + 1, a.micro_batch};
  if (send) before(s, static_cast<std::size_t>(s.rank_of(send->stage)), position(s, *send), seen);
}

}  // namespace

TEST_CASE("One stage a rank, by hand: an output is taken when its gradient comes") {
  const Schedule s = lower(one_f_one_b(2, 3));
  // rank 0: 0F0 0SF0 0F1 0SF1 0RB0 0B0 0F2 0SF2 0RB1 0B1 0RB2 0B2
  const std::vector<std::size_t> first = known_as_taken(s, 0);
  REQUIRE(s.actions[0].size() == 12);
  CHECK(first[1] == 4);
  CHECK(first[3] == 8);
  CHECK(first[7] == 10);
  CHECK(first[0] == 12);
  // rank 1: 1RF0 1F0 1B0 1SB0 1RF1 1F1 1B1 1SB1 1RF2 1F2 1B2 1SB2; 0F2 was sent after 0B0
  const std::vector<std::size_t> second = known_as_taken(s, 1);
  CHECK(second[3] == 8);
  CHECK(second[7] == 12);  // nothing comes any more
}

TEST_CASE("A send is known as taken after the first receive that proves it, in every schedule") {
  std::size_t proved = 0;
  for (const NamedSchedule& named : named_schedules)
    for (int ranks : {1, 2, 3, 4})
      for (int m : {1, 2, 5}) {
        CAPTURE(named.name, ranks, m);
        const Schedule s = lower(named.make(ranks, m));
        for (int r = 0; r < ranks; ++r) {
          const auto me = static_cast<std::size_t>(r);
          const std::vector<std::size_t> known = known_as_taken(s, r);
          REQUIRE(known.size() == s.actions[me].size());
          for (std::size_t i = 0; i < known.size(); ++i) {
            const Action& a = s.actions[me][i];
            std::size_t expected = known.size();
            if (a.kind == Kind::send_forward || a.kind == Kind::send_backward) {
              const Action takes = taker(s, a);
              const std::pair place(static_cast<std::size_t>(s.rank_of(takes.stage)), position(s, takes));
              for (std::size_t j = known.size(); j-- > i + 1;) {
                std::set<std::pair<std::size_t, std::size_t>> seen;
                before(s, me, j, seen);
                if (!seen.contains(place)) break;
                expected = j;
              }
              proved += expected < known.size();
            }
            REQUIRE(known[i] == expected);
          }
        }
      }
  CHECK(proved > 100);
}
