#!/usr/bin/env bash
# Usage: tests/run.sh [PRESET [CTEST ARGUMENT...]]. Installs what is missing, builds the preset (default: test) in
# build/PRESET and runs its tests. Ends with `N passed, N failed, N skipped` alone on a line; the status is 0 if none
# failed. Arguments go to ctest: tests/run.sh test -R ops/router.
set -u
cd "$(dirname "$0")/.."
preset=${1:-test}
shift $(($# > 0 ? 1 : 0))
tests/install_packages.sh test || { echo "0 passed, 1 failed, 0 skipped"; exit 1; }

jobs=$(tests/jobs.sh)
started=$SECONDS
if ! configured=$(cmake --preset "$preset" 2>&1); then
  printf '%s\n0 passed, 1 failed, 0 skipped\n' "$configured"
  exit 1
fi
# What does not compile fails; the tests of what does are run all the same.
built=0
cmake --build "build/$preset" -j "$jobs" -- -k 0 --quiet || built=1
echo "$preset: built in $((SECONDS - started)) s with $jobs jobs"

started=$SECONDS
report=build/$preset/report.xml
rm -f "$report"
ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure --no-tests=error --output-junit report.xml "$@" |
  grep -v ' Passed ' | grep -v '^ *Start '
echo "$preset: tested in $((SECONDS - started)) s"

# The first of these words in the report are its totals.
count() { grep -m 1 -oE "[[:space:]]$1=\"[0-9]+\"" "$report" | tr -dc 0-9; }
if [ ! -f "$report" ]; then
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
fi
total=$(count tests) failed=$(count failures) not_run=$(count skipped)
# Skipped is what says so itself; a test whose program was not built has failed.
skipped=$(grep -c '<skipped message="SKIP_' "$report")
failed=$((failed + not_run - skipped))
passed=$((total - failed - skipped))
# A build that fails is a failure even where no test was lost by it.
[ $built = 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
