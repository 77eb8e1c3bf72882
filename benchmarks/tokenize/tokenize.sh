#!/usr/bin/env bash
# Usage: tokenize.sh PYTHON FILE TOKENIZER.json... Megabytes a second, ours and the package's (which PYTHON has to have), on
# the same cores: in turns, the medians of seven runs each after one that warms up. FILE is UTF-8.
set -eu
here=$(dirname "$0")
python=$1 text=$2
shift 2
ours=$here/../../build/benchmark/benchmarks/tokenize
[ -x "$ours" ] || { echo "build it: cmake --preset benchmark && ninja -C build/benchmark tokenize" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
median() { sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }
for tokenizer; do
  rm -f "$work"/*
  for _ in 1 2 3 4 5 6 7; do
    "$ours" "$tokenizer" "$text" 2 | tail -1 >>"$work/ours"
    TOKENIZERS_PARALLELISM=true "$python" "$here/../peers/text_encoding.py" "$tokenizer" "$text" 2 | tail -1 >>"$work/theirs"
  done
  echo "$tokenizer $(median "$work/ours") $(median "$work/theirs")" |
    awk '{ printf "%s: %.1f MB/s, the package %.1f MB/s, %.1f times\n", $1, $2, $3, $2 / $3 }'
done
