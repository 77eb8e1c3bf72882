#!/usr/bin/env bash
# Usage: tests/same_bits.sh BASE [FOLDER]. Whether this tree computes what commit BASE does, to the last bit: builds
# tests/bits/record.cpp at both, each with its own headers, for Cpu and for the emulator, and compares what they print:
# losses, gradient norms and all tensors of checkpoints of the tiny models on every layout and in every compute type, and
# plans. What the programs print stays in FOLDER (build/bits), and is not made anew for a commit that is there already.
# Status 0 where all is equal; where it is not, the first differences are shown.
set -eu
cd "$(dirname "$0")/.."
base=$(git rev-parse "${1:?usage: tests/same_bits.sh BASE [FOLDER]}")
folder=${2:-build/bits}
mkdir -p "$folder"
libraries=()
[ -e /usr/include/dnnl.h ] && libraries=(-DASHLAR_WITH_ONEDNN=1 -ldnnl)

# record TREE OUT: the programs of TREE print to OUT.
record() {
  local compile=(g++ -std=c++20 -O2 -fopenmp -w -fno-math-errno -fno-trapping-math "-I$1/include" "-I$1/tests"
    -isystem /usr/include/eigen3 "$1/tests/bits/record.cpp" -pthread -lfmt)
  "${compile[@]}" -o "$2.cpu" "${libraries[@]}"
  "${compile[@]}" -o "$2.emulator" -DASHLAR_CUDA_EMULATED=1 "${libraries[@]}" -lboost_context
  { OMP_NUM_THREADS=1 "$2.cpu"; OMP_NUM_THREADS=1 "$2.emulator"; } >"$2.part"
  rm "$2.cpu" "$2.emulator"
  mv "$2.part" "$2"
}

if [ ! -e "$folder/$base" ]; then
  tree=$(mktemp -d)
  trap 'git worktree remove --force "$tree"' EXIT
  git worktree add -q --detach "$tree" "$base"
  record "$tree" "$folder/$base"
fi
record . "$folder/here"
if cmp -s "$folder/$base" "$folder/here"; then
  echo "$(wc -l <"$folder/here") lines, all equal to those of $base"
else
  diff "$folder/$base" "$folder/here" | head -40
  exit 1
fi
