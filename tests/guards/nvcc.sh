#!/usr/bin/env bash
# Usage: nvcc.sh FILE.cu NVCC INCLUDE. Compiles a file of kernel instances for sm_90a: no warning, no register spilled.
set -u
object=$(mktemp --suffix=.o)
trap 'rm -f "$object"' EXIT
output=$("$2" -std=c++20 -O3 -arch=sm_90a --expt-relaxed-constexpr --Werror all-warnings \
  -Xptxas -v,--warn-on-spills,--warning-as-error -I"$3" -c "$1" -o "$object" 2>&1) || { echo "$output"; exit 1; }
spilled=$(grep -E '[1-9][0-9]* bytes spill' <<<"$output")
[ -z "$spilled" ] || { echo "$output"; exit 1; }
echo "$(grep -c 'Compiling entry function' <<<"$output") kernels, at most $(grep -o 'Used [0-9]* registers' <<<"$output" |
  sort -k2 -n | tail -1 | sed 's/Used //')"
