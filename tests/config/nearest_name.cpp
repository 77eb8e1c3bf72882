#include "ashlar/config/nearest_name.hpp"

#include "catch.hpp"

using namespace ashlar;

TEST_CASE("edit distance counts insertions, deletions, replacements and swaps of neighbours") {
  CHECK(edit_distance("", "") == 0);
  CHECK(edit_distance("steps", "") == 5);
  CHECK(edit_distance("", "steps") == 5);
  CHECK(edit_distance("step", "steps") == 1);
  CHECK(edit_distance("stteps", "steps") == 1);
  CHECK(edit_distance("staps", "steps") == 1);
  CHECK(edit_distance("trian", "train") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("ca", "abc") == 3);  // no character takes part in two edits
}

TEST_CASE("case, and the kind of dash, are no edits") {
  CHECK(edit_distance("Seq-Len", "seq_len") == 0);
}

TEST_CASE("the nearest name is the first of the nearest") {
  CHECK(nearest_name("trian", {"evaluate", "train", "plan"}) == "train");
  CHECK(nearest_name("b", {"a", "c"}) == "a");
  CHECK(nearest_name("x", {}).empty());
}

TEST_CASE("a bare name is compared with the last part of dotted ones") {
  CHECK(nearest_name("seqlen", {"training.steps", "training.seq_len"}) == "training.seq_len");
  CHECK(nearest_name("trainig.steps", {"validation.steps", "training.steps"}) == "training.steps");
}
