# shellcheck shell=bash
# What the scripts of this folder share; sourced by them with the folder of the recipes' binaries as argument. Every
# script runs by itself: tests/recipes/train.sh build/release/examples
set -u
recipes=$(cd "${1:?the folder of the recipes}" && pwd) || exit 1
work=$(mktemp -d)
failed=0
finish() {
  rm -rf "$work"
  [ $failed = 0 ] && echo "all passed"
  exit $failed
}
trap finish EXIT
cd "$work" || exit 1

llama3=$recipes/llama3
qwen3=$recipes/qwen3
deepseek_v3=$recipes/deepseek_v3
llama4=$recipes/llama4
debug_moe=$recipes/debug_moe
# The smallest runs that are still the debug model's.
small="--training.local_batch_size 2 --training.seq_len 32 --training.mixed_precision_param float32 --metrics.log_freq 1"
text="--training.dataset text --training.dataset_path $work/text.txt"
for ((i = 0; i < 400; ++i)); do
  echo "line $i: the quick brown fox $((i * i % 97)) jumps over $((i % 13)) lazy dogs."
done >text.txt

# failure TEXT...: counts and says it.
failure() {
  echo "FAILED: $*"
  failed=1
}
# passes NAME COMMAND...: the command ends with status 0.
passes() {
  local name=$1
  shift
  if timeout 300 "$@" >out.log 2>err.log; then
    echo "passed: $name"
  else
    failure "$name: status $?"
    cat out.log err.log
  fi
}
# check NAME COMMAND...: the same without a report of the output.
check() {
  local name=$1
  shift
  if "$@"; then echo "passed: $name"; else failure "$name"; fi
}
# values FILE KEY: one line a step, "STEP VALUE", as the file spells them.
values() { sed -n 's/^{"step":\([0-9]*\),.*"'"$2"'":\([^,}]*\).*/\1 \2/p' "$1"; }
# trajectory FOLDER: step, loss and gradient norm of each line.
trajectory() { sed -n 's/^\({"step":[0-9]*,"loss":[^,]*,"grad_norm":[^,]*\),.*/\1/p' "$1/metrics.jsonl"; }
# same_trajectory NAME FOLDER FOLDER: bit for bit, and not empty.
same_trajectory() {
  if [ -n "$(trajectory "$2")" ] && [ "$(trajectory "$2")" = "$(trajectory "$3")" ]; then
    echo "passed: $1"
  else
    failure "$1"
    diff <(trajectory "$2") <(trajectory "$3")
  fi
}
# near NAME FOLDER FOLDER: the losses of the same steps, within 1e-5 of each other.
near() {
  local worst
  worst=$(paste -d ' ' <(values "$2/metrics.jsonl" loss) <(values "$3/metrics.jsonl" loss) | awk '
    { d = ($2 - $4) / $2; if (d < 0) d = -d; if (d > worst) worst = d; if ($1 != $3 || NF != 4) bad = 1 }
    END { if (NR == 0 || bad) print "steps differ"; else print worst + 0 }')
  if awk -v w="$worst" 'BEGIN { exit !(w ~ /^[0-9]/ && w < 1e-5) }'; then
    echo "passed: $1 (losses differ by $worst)"
  else
    failure "$1: losses differ by $worst"
  fi
}
# wait_for_step FOLDER N: until the run has reported step N; fails after a minute.
wait_for_step() {
  for ((i = 0; i < 600; ++i)); do
    grep -q "^{\"step\":$2," "$1/metrics.jsonl" 2>/dev/null && return 0
    sleep 0.1
  done
  return 1
}
