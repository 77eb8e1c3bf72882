#!/usr/bin/env bash
# Usage: tests/device.sh OUT [PROGRAM...]. Builds the tests of tests/cuda for the GPU (preset `device`), runs them, and runs
# them under the tools of compute-sanitizer. Prints a line a program and tool, and a last line `N passed, N failed, N
# unfinished`; the status is 0 if all passed. Logs go to OUT. PROGRAM: some of them, such as rms_norm. In the environment:
#   STAGES   what to do, of: build plain memcheck racecheck initcheck synccheck (default: all)
#   JOBS     programs at a time (default: 3)
#   LIMIT    seconds for one program (default: 120)
#   DEADLINE seconds after which nothing more is begun: what is left is unfinished (default: 500)
# Each tool has a fault planted for it (tests/device/planted.cpp), which it must find. Under the tools each test runs once
# in place of four times, and not in double, which no recipe computes in. What they find in kernels of libraries
# (cuBLASLt's) is counted and not held against us. initcheck takes an upload for a write, so under it the tests leave out
# the poison in fresh memory (tests/cuda/device_tensor.hpp).
set -u
out=${1:?an output folder}
shift
cd "$(dirname "$0")/.." || exit 2
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
stages=${STAGES:-build plain memcheck racecheck initcheck synccheck}
export limit=${LIMIT:-120} deadline=${DEADLINE:-500} out programs=$PWD/build/device/tests/device
export started
started=$(date +%s)
export PATH=$PATH:/usr/local/cuda/bin:/usr/local/cuda/compute-sanitizer
export OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive

# Longest first, so that nothing long is begun last.
names=("$@")
if [ ${#names[@]} = 0 ]; then
  names=(attention training steady_step grouped_gemm rms_norm cross_entropy matmul)
  for source in tests/cuda/*.cpp tests/simt/{kernels,pipeline,tensor_copies,warpgroups,warp_matrices,clusters,launches}.cpp; do
    name=$(basename "$source" .cpp)
    [[ " ${names[*]} " == *" $name "* ]] || names+=("$name")
  done
fi
results=$out/results.txt
: >"$results"

# run TOOL NAME: one program, one line.
run() {
  local tool=$1 name=$2 log=$out/$2-$1.log found=$out/$2-$1.tool begin line status total ours verdict=fail what
  begin=$(date +%s)
  if [ ! -x "$programs/device_$name" ]; then
    echo "fail $name $tool: not built"
    return
  elif [ $((begin - started)) -gt "$deadline" ]; then
    echo "unfinished $name $tool: not begun, the deadline has passed"
    return
  fi
  if [ "$tool" = plain ]; then
    timeout -k 5 "$limit" "$programs/device_$name" >"$log" 2>&1
    status=$?
    what=$(grep -E '^(test cases|All tests passed|No tests ran)' "$log" | tail -1)
    [ $status = 0 ] && verdict=pass
  else
    local poison=1 options="" which='~* - double'
    [ "$name" = planted ] && which=$tool
    case $tool in
      # Without the poison, what a test expects to find untouched is not what it was: the tool's word counts, not the test's.
      initcheck) poison=0 options="--print-limit 1000000" ;;
      memcheck) options="--report-api-errors no" ;;  # libraries probe with calls that fail
    esac
    # shellcheck disable=SC2086
    ASHLAR_TEST_ATTEMPTS=1 ASHLAR_TEST_POISON=$poison timeout -k 5 "$limit" compute-sanitizer --tool "$tool" $options \
      --show-backtrace no --log-file "$found" "$programs/device_$name" "$which" >"$log" 2>&1
    status=$?
    line=$(grep -h 'SUMMARY:' "$found" "$log" 2>/dev/null | tail -1)
    total=$(grep -oE '[0-9]+' <<<"$line" | head -1)
    [ "$tool" != initcheck ] || [ $status -ge 124 ] || status=0
    # A report begins at the margin; a function of ours is named there or on one of the lines after it.
    ours=$(awk '/^========= [A-Z]/ { open = 1 } open && /simt_kernel|ashlar/ { ++n; open = 0 } END { print n + 0 }' "$found" 2>/dev/null)
    what="${line#========= }"
    if [ -z "$line" ]; then
      what="no summary; $(tail -1 "$log")"
    elif [ "$name" = planted ]; then
      [ "${ours:-0}" -gt 0 ] && verdict=pass status=0
      what="$what: the planted fault was $([ "$verdict" = pass ] && echo found || echo NOT found)"
    elif [ $status = 0 ] && [ "${ours:-0}" = 0 ]; then
      verdict=pass
      [ "${total:-0}" = 0 ] || what="$what, none of them in our kernels"
    else
      what="$what, ${ours:-?} of them in our kernels"
    fi
  fi
  if [ $status = 124 ] || [ $status = 137 ]; then
    verdict=unfinished
    what="not done in $limit s"
  fi
  [ $status = 0 ] || what="$what (status $status)"
  echo "$verdict $name $tool: $what, $(($(date +%s) - begin)) s"
}
export -f run

if [[ " $stages " == *" build "* ]]; then
  if ! cmake --preset device >"$out/configure.log" 2>&1; then
    tail -20 "$out/configure.log"
    echo "0 passed, 1 failed, 0 unfinished"
    exit 1
  fi
  cmake --build build/device --target device_tests -j "$(nproc)" -- -k 0 >"$out/build.log" 2>&1
  grep -A 5 '^FAILED:' "$out/build.log" | cut -c 1-200 | head -40
  echo "built in $(($(date +%s) - started)) s"
fi
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version --format=csv,noheader
for tool in $stages; do
  [ "$tool" = build ] && continue
  if [ "$tool" != plain ] && ! command -v compute-sanitizer >/dev/null; then
    echo "fail all $tool: compute-sanitizer is not found" | tee -a "$results"
    continue
  fi
  # steady_step keeps the device from running what is launched, and the tools wait for launches. racecheck does not see
  # that a lane's arrival at an mbarrier, after the warp has met, is for all of its lanes: of attention it reports rows
  # that are written again when the last warp has left them, unless every thread arrives by itself (2 % slower).
  for name in $([ "$tool" = plain ] || echo planted) "${names[@]}"; do
    case $tool.$name in plain.*) echo "$name" ;; *.steady_step | racecheck.attention) ;; *) echo "$name" ;; esac
  done | xargs -P "${JOBS:-3}" -I{} bash -c 'run "$0" "$1"' "$tool" {} | tee -a "$results"
done
count() { grep -c "^$1 " "$results"; }
echo "in $(($(date +%s) - started)) s:"
echo "$(count pass) passed, $(count fail) failed, $(count unfinished) unfinished"
[ "$(count fail)" = 0 ] && [ "$(count unfinished)" = 0 ]
