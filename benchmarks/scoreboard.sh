#!/usr/bin/env bash
# The scoreboard of one GPU: every operation as a share of the copy bandwidth or of cuBLASLt's rate, the models' tokens/s,
# MFU, peak memory and time to the first step, and beside each the same in PyTorch, measured in the same run.
# Usage: benchmarks/scoreboard.sh OUT [kernels|models|peers ...]. Writes OUT/scoreboard.md, .jsonl and .log. With parts
# named, their rows are added to those that OUT has. Needs what first_light.sh needs, and for the peers a python3 with
# PyTorch. Building apart, all parts take less than eight minutes: past BUDGET seconds the rest is left out.
set -u
cd "$(dirname "$0")/.."
out=${1:?an output folder}
shift
parts=${*:-kernels models peers}
mkdir -p "$out"
out=$(cd "$out" && pwd)
rows=$out/scoreboard.jsonl log=$out/scoreboard.log
[ $# -gt 0 ] || : >"$rows"
touch "$rows"
: >"$log"
build=build/cuda
runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1

has() { case " $parts " in *" $1 "*) ;; *) return 1 ;; esac; }
say() { printf '\n== %s (%d s)\n' "$1" "$SECONDS" | tee -a "$log"; }

if has kernels || has models; then
  say "build"
  { cmake --preset cuda -DASHLAR_BENCHMARKS=ON -DASHLAR_ONEDNN=OFF &&
    cmake --build "$build" -j "${JOBS:-$(nproc)}" --target kernels moe_layer llama3 debug_moe; } >"$runs/build" 2>&1 || {
    grep -E 'error|FAILED' "$runs/build" | head -20
    cat "$runs/build" >>"$log"
    echo "the build failed: see $log"
    has peers || exit 1
  }
fi

if command -v nvidia-smi >/dev/null; then
  gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader | head -1)
  memory=$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits | head -1)
fi
memory=${memory:-0}
case $memory in *[!0-9]*) memory=0 ;; esac
begin=$SECONDS
left() { echo $((${BUDGET:-475} - (SECONDS - begin))); }

# limited SECONDS COMMAND...: runs it for so long, or for what is left of the budget; its lines go to the log with the
# time of each before them, and to $runs/last.
limited() {
  local seconds=$1 status
  shift
  if [ "$(left)" -lt 15 ]; then
    echo "left out, the time is spent: $*" | tee -a "$log"
    return 1
  fi
  [ "$seconds" -lt "$(left)" ] || seconds=$(left)
  say "$(basename "$1") ${*:2}"
  echo "$EPOCHREALTIME start" >"$runs/last"
  timeout -k 5 "$seconds" "$@" 2>&1 | while IFS= read -r line; do printf '%s %s\n' "$EPOCHREALTIME" "$line"; done \
    >>"$runs/last"
  status=${PIPESTATUS[0]}
  cat "$runs/last" >>"$log"
  [ "$status" = 0 ] || echo "exit status $status: $*" | tee -a "$log"
  return "$status"
}
row() { printf '{"row":"%s","side":"%s",%s}\n' "$1" "$2" "$3" >>"$rows"; }
# first_step NAME SIDE: from the start of the last program to the line that says that its first step is done.
first_step() {
  local seconds
  seconds=$(awk 'NR == 1 { start = $1 } / step 1\// { printf "%.2f", $1 - start; exit }' "$runs/last")
  [ -z "$seconds" ] || row "$1: time to the first step" "$2" "\"value\":$seconds,\"unit\":\"s\""
}
# metric FIELD FILE: of the last line.
metric() { tail -n 1 "$2" | sed -n "s/.*\"$1\":\([-+0-9.e]*\).*/\1/p"; }

# flops NAME SEQ_LEN SIZES...: what a token costs, by the usual count: 6 for each parameter that multiplies, and the
# attention, whole or half.
flops() {
  awk -v row="$1: training" -v seq_len="$2" -v sizes="$3" 'BEGIN {
    split(sizes, s, " ")  # dim layers heads kv_heads hidden vocab; experts top_k expert_hidden shared
    dim = s[1]; layers = s[2]; kv = dim / s[3] * s[4]
    dense = s[7] ? 1 : layers
    n = layers * (2 * dim * dim + 2 * dim * kv + 2 * dim) + dense * 3 * dim * s[5] + dim + s[6] * dim
    n += (layers - dense) * (s[7] * dim + (s[8] + s[10]) * 3 * dim * s[9])
    attention = 12 * layers * dim * seq_len
    printf "{\"row\":\"%s\",\"side\":\"flops\",\"flops_per_token\":%.0f,\"flops_per_token_causal\":%.0f}\n", row,
      6 * n + attention, 6 * n + attention / 2
  }' >>"$rows"
}

# ours NAME PROGRAM FLAVOR BATCH SEQ_LEN STEPS SECONDS [unordered]: one run without checkpointing of activations; where
# that fails (memory, most likely), once more with.
ours() {
  local name="$1, $4 x $5${8:+, unordered sums}" metrics mode
  for mode in none full; do
    rm -rf "$runs/train"
    if limited "$7" "$build/examples/$2" train --model.flavor "$3" --training.dataset random \
      --training.mixed_precision_param bfloat16 --training.local_batch_size "$4" --training.seq_len "$5" \
      --training.steps "$6" --metrics.log_freq 1000 --activation_checkpoint.mode $mode --job.dump_folder "$runs/train" \
      ${8:+--training.unordered_sums}
    then
      metrics=$runs/train/metrics.jsonl
      cat "$metrics" >>"$log"
      row "$name: training" ashlar "\"value\":$(metric tokens_per_second "$metrics"),\"unit\":\"tokens/s\",\"loss\":$(
        metric loss "$metrics"),\"activation_checkpoint\":\"$mode\""
      row "$name: peak memory" ashlar "\"value\":$(
        awk -v b="$(metric peak_memory_bytes "$metrics")" 'BEGIN { printf "%.4f", b / 2^30 }'),\"unit\":\"GiB\""
      first_step "$name" ashlar
      return
    fi
    tail -n 2 "$runs/last" | cut -c1-300
  done
  row "$name: training" ashlar '"unit":"tokens/s","failed":"see the log"'
}
# theirs NAME MODEL eager|compiled BATCH SEQ_LEN STEPS SECONDS
theirs() {
  local name="$1, $4 x $5" side=pytorch
  [ "$3" = compiled ] || side=pytorch_eager
  if limited "$7" "$python" benchmarks/peers/pytorch.py train "$rows" "$2" "$3" "$4" "$5" "$6"; then
    first_step "$name" $side
  else
    tail -n 2 "$runs/last" | cut -c1-300
    row "$name: training" $side '"unit":"tokens/s","failed":"see the log"'
  fi
}
# model NAME PROGRAM FLAVOR BATCH SEQ_LEN STEPS SECONDS SIZES: both sides, the compiled peer; heads of 64 or 128, for
# which there is a choice, with unordered sums too.
model() {
  flops "$1, $4 x $5" "$5" "$8"
  if has models; then ours "${@:1:7}"; fi
  case $1 in
    124M | 8B_slice | 1B)
      flops "$1, $4 x $5, unordered sums" "$5" "$8"
      if has models; then ours "${@:1:7}" unordered; fi
      ;;
  esac
  if has peers; then theirs "$1" "$1" compiled "$4" "$5" 10 100; fi
}

if has kernels; then
  limited 150 "$build/benchmarks/kernels" "$rows"
  cut -d' ' -f2- "$runs/last"
fi
if has peers; then
  limited 150 "$python" benchmarks/peers/pytorch.py kernels "$rows" || tail -n 3 "$runs/last"
fi
if has kernels; then
  limited 60 "$build/benchmarks/moe_layer" "$rows"
  cut -d' ' -f2- "$runs/last"
fi
if has peers; then
  limited 60 "$python" benchmarks/peers/pytorch.py moe_layer "$rows" || tail -n 3 "$runs/last"
fi
if has models || has peers; then
  model 124M llama3 124M 32 1024 11 60 "768 12 12 12 2048 50257"
  model 1B llama3 3.2-1B 4 4096 6 60 "2048 16 32 8 8192 128256"
  # The weights, gradients and states of the slice take 82 GB.
  if [ "$memory" -gt $((90 * 1024)) ]; then
    model 8B_slice llama3 8B_slice 1 8192 4 120 "4096 16 32 8 14336 128256"
  else
    echo "left out: 8B_slice needs more than 90 GiB, this GPU has $memory MiB" | tee -a "$log"
  fi
  model debugmodel llama3 debugmodel 32 256 41 30 "256 6 16 16 768 2048"
  model debug_moe debug_moe debugmodel 32 256 41 30 "256 6 16 16 768 2048 8 2 256 1"
fi
if has peers; then
  theirs 124M 124M eager 32 1024 10 45
  [ "$memory" -le $((90 * 1024)) ] || theirs 8B_slice 8B_slice eager 1 8192 5 60
  theirs debugmodel debugmodel eager 32 256 20 30
  theirs debug_moe debug_moe eager 32 256 20 30
fi
say "measured in $((SECONDS - begin)) s"

{
  echo "# Scoreboard: ${gpu:-no GPU}, $(date -u +%Y-%m-%d), $(git describe --always --dirty 2>/dev/null)"
  echo
  echo "The ceilings are the copy of the device and cuBLASLt's product of 8192 x 8192 matrices, as measured in this run."
  echo "Kernels: more is better. PyTorch's models are compiled block by block (eager in brackets), with bf16 weights,"
  echo "f32 master weights and fused AdamW. Ours / PyTorch is the quotient of the two figures, in seconds and GiB too."
  echo
  awk -f benchmarks/scoreboard.awk "$rows"
} >"$out/scoreboard.md"
cat "$out/scoreboard.md"
