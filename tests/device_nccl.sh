#!/usr/bin/env bash
# Usage: tests/device_nccl.sh OUT. On a machine with two GPUs: builds the programs of tests/device for ranks with a GPU each
# (preset `device`), and runs the communicator's laws over NCCL, what happens when a rank does not come, and training in
# every layout. Ranks are processes, started by mpirun; the laws also run on threads.
# Prints a line a check and a last line `N passed, N failed`; the status is 0 if all passed. Logs go to OUT. In the
# environment:
#   PROGRAMS  a folder with the programs, built already
#   LIMIT     seconds for one program (default: 200)
set -u
out=${1:?an output folder}
cd "$(dirname "$0")/.." || exit 2
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
limit=${LIMIT:-200}
export PATH=$PATH:/usr/local/cuda/bin OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive
# A kernel that is loaded at its first launch waits for kernels that wait for a peer.
export CUDA_MODULE_LOADING=EAGER NCCL_DEBUG=${NCCL_DEBUG:-WARN}
if [ -z "${PROGRAMS:-}" ]; then
  {
    cmake --preset device -B build/device_nccl -DASHLAR_MPI=ON &&
      cmake --build build/device_nccl --target device_nccl -j "$(nproc)"
  } >"$out/build.log" 2>&1 || {
    tail -20 "$out/build.log"
    echo "0 passed, 1 failed"
    exit 1
  }
  PROGRAMS=$PWD/build/device_nccl/tests/device
fi
passed=0 failed=0
# run NAME COMMAND...: passed where the command's status is 0; shows its lines that say so.
run() {
  local name=$1 status
  shift
  timeout -k 5 "$limit" "$@" >"$out/$name.log" 2>&1
  status=$?
  grep -E '^(passed|FAILED|failed)|one GPU' "$out/$name.log"
  if [ $status = 0 ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    echo "FAILED: $name (status $status); $(tail -1 "$out/$name.log")"
  fi
}
run laws_of_threads "$PROGRAMS/nccl_laws" laws
if command -v mpirun >/dev/null && ldd "$PROGRAMS/nccl_laws" | grep -q libmpi; then
  launcher=(mpirun --allow-run-as-root --bind-to none -n 2)
  run laws "${launcher[@]}" "$PROGRAMS/nccl_laws" laws
  run deadlines "${launcher[@]}" "$PROGRAMS/nccl_laws" deadlines
  run llama3 "${launcher[@]}" "$PROGRAMS/nccl_training" llama3
  run debug_moe "${launcher[@]}" "$PROGRAMS/nccl_training" debug_moe
else
  echo "FAILED: training runs on processes, and there is no mpirun, or the programs were built without MPI"
  failed=$((failed + 4))
fi
echo "$passed passed, $failed failed"
[ $failed = 0 ]
