#!/usr/bin/env bash
# Compile time and stripped size of the precompiled headers and of each recipe, and the time from process start to the first step.
# Usage: bash benchmarks/compile_time.sh [PRESET]. Uses the commands of build/PRESET; run it on an idle machine.
set -eu
cd "$(dirname "$0")/.."
preset=${1:-cpu}
cmake --preset "$preset" >/dev/null
# timed COMMAND: its seconds, wall and user.
timed() { (cd "build/$preset" && /usr/bin/env bash -c "TIMEFORMAT='%R %U'; time $1") 2>&1 | tail -1; }
header=$(ninja -C "build/$preset" -t commands recipe_header | grep -- '-x c++-header' | head -1)
[ -z "$header" ] || printf '%-10s %s s (wall, user)\n' 'headers' "$(timed "$header")"
for name in llama3 debug_moe own_loop; do
  command=$(ninja -C "build/$preset" -t commands "$name" | grep -- "-c .*examples/$name/$name.cpp" | head -1)
  seconds=$(timed "$command")
  cmake --build "build/$preset" --target "$name" >/dev/null
  strip -o "/tmp/$name.stripped" "build/$preset/examples/$name"
  printf '%-10s %s s (wall, user)  %s bytes stripped\n' "$name" "$seconds" "$(stat -c %s "/tmp/$name.stripped")"
done
out=$(mktemp -d)
"build/$preset/examples/llama3" train --training.dataset random --training.seq_len 256 --training.steps 8 \
  --training.mixed_precision_param float32 --metrics.log_freq 1 --job.dump_folder "$out" >/dev/null
start=$(grep -o '"elapsed_seconds":[0-9.e-]*' "$out/metrics.jsonl" | head -1 | cut -d: -f2)
rate=$(grep -o '"tokens_per_second":[0-9.e+]*' "$out/metrics.jsonl" | tail -1 | cut -d: -f2)
begin=$(date +%s.%N)
"build/$preset/examples/llama3" train --training.dataset random --training.seq_len 256 --training.steps 1 \
  --training.mixed_precision_param float32 --metrics.log_freq 1 --job.dump_folder "$out/one" >/dev/null
end=$(date +%s.%N)
awk -v a="$begin" -v b="$end" -v r="$rate" -v s="$start" 'BEGIN {
  printf "process start to end of a run of one step: %.3f s; a steady step: %.3f s; difference %.3f s\n", b - a, 2048 / r, b - a - 2048 / r }'
rm -rf "$out"
