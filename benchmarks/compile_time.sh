#!/usr/bin/env bash
# Compile time and stripped size of what recipes share and of each recipe, and the time from process start to the first step.
# Usage: bash benchmarks/compile_time.sh [PRESET]. Uses the commands of build/PRESET; run it on an idle machine.
set -eu
cd "$(dirname "$0")/.."
preset=${1:-cpu}
cmake --preset "$preset" >/dev/null
# timed COMMAND: its seconds, wall and user.
timed() { (cd "build/$preset" && /usr/bin/env bash -c "TIMEFORMAT='%R %U'; time $1") 2>&1 | tail -1; }
header=$(ninja -C "build/$preset" -t commands recipe_header | grep -- '-x c++-header' | head -1)
for part in host cpu_kernels plans plans_of_experts; do
  command=$(ninja -C "build/$preset" -t commands recipe_library | grep -- "-c .*instances/$part.cpp" | head -1)
  printf '%-10s %s s (wall, user), once for all recipes\n' "$part" "$(timed "$command")"
done
[ -z "$header" ] || printf '%-10s %s s (wall, user)\n' 'headers' "$(timed "$header")"
for name in llama3 qwen3 deepseek_v3 llama4 debug_moe own_loop; do
  command=$(ninja -C "build/$preset" -t commands "$name" | grep -- "-c .*examples/$name/$name.cpp" | head -1)
  seconds=$(timed "$command")
  cmake --build "build/$preset" --target "$name" >/dev/null
  strip -o "/tmp/$name.stripped" "build/$preset/examples/$name"
  printf '%-10s %s s (wall, user)  %s bytes stripped\n' "$name" "$seconds" "$(stat -c %s "/tmp/$name.stripped")"
done
# Medians over a few runs: from process start to the first finished step, by the run's own clock and what --help takes
# before it, and the time of later steps.
out=$(mktemp -d)
field() { sed -n "s/.*\"$1\":\([0-9.e+-]*\).*/\1/p" "$2"; }
for run in 1 2 3 4 5 6 7 8 9; do
  begin=$(date +%s.%N)
  "build/$preset/examples/llama3" train --help >/dev/null
  end=$(date +%s.%N)
  "build/$preset/examples/llama3" train --training.dataset random --training.seq_len 256 --training.steps 5 \
    --training.mixed_precision_param float32 --metrics.log_freq 1 --job.dump_folder "$out/$run" >/dev/null
  first=$(field elapsed_seconds "$out/$run/metrics.jsonl" | head -1)
  # The second step comes after the measurement of the rate that MFU divides by, in cold caches.
  steady=$(field tokens_per_second "$out/$run/metrics.jsonl" | tail -n 3 | sort -g | sed -n 2p)
  awk -v a="$begin" -v b="$end" -v f="$first" -v r="$steady" 'BEGIN { s = 2048 / r; print f + b - a, s, f + b - a - s }'
done | sort -g -k 3 | sed -n 5p | while read -r first steady more; do
  printf 'process start to the first finished step: %.3f s; a steady step: %.3f s; difference %.3f s\n' "$first" "$steady" "$more"
done
rm -rf "$out"
