#!/usr/bin/env bash
# First light on a GPU, the half that trains (the half that tests kernels is tests/device.sh). Usage:
#   bash benchmarks/first_light.sh OUT [TEXT]
# TEXT: a file to train on; random tokens without one. Needs what the presets `cuda` and `cpu` need; the traces need CUPTI
# (benchmarks/trace). In the environment:
#   STAGES    what to do, of: build losses 124M slice trace (default: all, which takes 9 minutes of an H200 and 16 cores)
#   BUILD     where to build (default: build/first_light)
#   DEADLINE  seconds after which nothing more is begun, and what runs is ended (default: 540)
#   STEPS     of the 124M model (default: 300)
# losses: 50 steps of the debug models on Cuda and on Cpu, and the largest relative difference of their losses.
# 124M: a run on the text, with its held-out loss. slice: a few steps of 8B_slice where the GPU has 90 GiB, beside its plan.
# trace: where the time of a step goes, and whether the host waits for the device inside one.
set -u
out=${1:?an output folder}
text=${2:-}
[ -z "$text" ] || text=$(realpath "$text") || exit 2
cd "$(dirname "$0")/.." || exit 2
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 2
build=${BUILD:-build/first_light}
stages=" ${STAGES:-build losses 124M slice trace} "
deadline=${DEADLINE:-540}
cores=$(nproc)
failures=0
export PATH=$PATH:/usr/local/cuda/bin

say() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }
has() { [[ $stages == *" $1 "* ]]; }
failed() {
  echo "FAILED: $1"
  failures=$((failures + 1))
}
# limited SECONDS COMMAND...: for so long at most, and not past the deadline.
limited() {
  local left=$((deadline - SECONDS)) limit=$1
  shift
  if [ "$left" -lt 5 ]; then
    echo "not begun: the deadline has passed"
    return 124
  fi
  timeout -k 10 $((left < limit ? left : limit)) "$@"
}
if [ -n "$text" ]; then data=(--training.dataset_path "$text"); else data=(--training.dataset random); fi

# train DEVICE RECIPE FOLDER LIMIT FLAG...: a run; its output is FOLDER.log.
train() {
  local device=$1 recipe=$2 folder=$out/$3 limit=$4
  shift 4
  rm -rf "$folder"
  limited "$limit" "$build/$device/examples/$recipe" train --job.dump_folder "$folder" "$@" >"$folder.log" 2>&1
}
value='function value(key) {
  return match($0, "\"" key "\":[^,}]*") ? substr($0, RSTART + length(key) + 3, RLENGTH - length(key) - 3) : ""
}'
# compare TITLE FOLDER FOLDER TOLERANCE: how far the losses of two runs are apart.
compare() {
  awk -v title="$1" -v tolerance="$4" "$value"'
    FNR == NR { loss[value("step")] = value("loss"); next }
    (step = value("step")) in loss {
      d = (value("loss") - loss[step]) / loss[step]
      if (d < 0) d = -d
      if (!(d <= largest)) { largest = d; at = step }
      ++n; last = value("loss"); other = loss[step]
    }
    END {
      good = n > 0 && largest <= tolerance
      printf "%-28s %3d steps, losses at the end %.6f and %.6f, largest relative difference %.2e at step %d: %s\n",
             title, n, other, last, largest, at, n < 50 ? "TOO FEW STEPS" : good ? "within " tolerance : "MORE THAN " tolerance
      exit !(good && n >= 50)
    }' "$out/$2/metrics.jsonl" "$out/$3/metrics.jsonl"
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
memory=$(nvidia-smi --query-gpu=memory.total --format=csv,noheader,nounits | head -1)

if has build; then
  say "build"
  common=(-G Ninja -DCMAKE_BUILD_TYPE=Release -DASHLAR_TESTS=OFF -DASHLAR_ONEDNN=OFF -DASHLAR_MPI=OFF)
  cmake -S . -B "$build/cuda" "${common[@]}" -DASHLAR_CUDA=ON >"$out/configure-cuda.log" 2>&1 || tail -20 "$out/configure-cuda.log"
  cmake -S . -B "$build/cpu" "${common[@]}" >"$out/configure-cpu.log" 2>&1 || tail -20 "$out/configure-cpu.log"
  cmake --build "$build/cuda" -j "$cores" --target llama3 debug_moe -- -k 0 >"$out/build-cuda.log" 2>&1 &
  on_cuda=$!
  cmake --build "$build/cpu" -j 2 --target llama3 debug_moe -- -k 0 >"$out/build-cpu.log" 2>&1 &
  on_cpu=$!
  if has trace; then
    cmake -S benchmarks/trace -B "$build/trace" >"$out/build-trace.log" 2>&1 &&
      cmake --build "$build/trace" >>"$out/build-trace.log" 2>&1 || { tail -5 "$out/build-trace.log"; failed "the trace's build"; }
  fi
  wait $on_cuda || { grep -A 8 -E '^FAILED|error' "$out/build-cuda.log" | cut -c 1-200 | head -30; failed "the build for Cuda"; }
  wait $on_cpu || { grep -A 8 -E '^FAILED|error' "$out/build-cpu.log" | cut -c 1-200 | head -30; failed "the build for Cpu"; }
fi

if has losses; then
  say "losses on Cuda and on Cpu"
  flags=(--model.flavor debugmodel --training.steps 50 --training.local_batch_size 4 --training.global_batch_size 4
    --training.seq_len 256 --metrics.log_freq 1 "${data[@]}")
  runs=()
  for recipe in llama3 debug_moe; do
    for type in float32 bfloat16; do
      OMP_NUM_THREADS=$((cores > 4 ? cores / 4 : 1)) train cpu $recipe cpu-$recipe-$type 200 "${flags[@]}" \
        --training.mixed_precision_param $type &
      runs+=($!)
    done
  done
  for recipe in llama3 debug_moe; do
    for type in float32 bfloat16; do
      train cuda $recipe cuda-$recipe-$type 60 "${flags[@]}" --training.mixed_precision_param $type ||
        { tail -3 "$out/cuda-$recipe-$type.log"; failed "$recipe in $type on Cuda"; }
    done
  done
  wait "${runs[@]}"
  for recipe in llama3 debug_moe; do
    compare "$recipe float32" cpu-$recipe-float32 cuda-$recipe-float32 1e-4 || failed "$recipe in float32"
    compare "$recipe bfloat16" cpu-$recipe-bfloat16 cuda-$recipe-bfloat16 1e-2 || failed "$recipe in bfloat16"
  done
fi

if has 124M; then
  say "124M on ${text:-random tokens}"
  flags=(--model.flavor 124M --training.steps "${STEPS:-300}" --training.local_batch_size 32 --training.global_batch_size 32
    --training.seq_len 1024 --training.mixed_precision_param bfloat16 --metrics.log_freq 10 "${data[@]}")
  if [ -n "$text" ]; then
    # All that is held out is measured at the end: a tenth of the text, and 16 batches at most.
    share=$(awk -v bytes="$(du -bs "$text" | cut -f 1)" 'BEGIN { f = 16 * 32 * 1024 / bytes; print f < 0.1 ? f : 0.1 }')
    flags+=(--validation.enable true --validation.freq 100 --validation.held_out_fraction "$share")
  fi
  train cuda llama3 124M 240 "${flags[@]}" || failed "124M"
  awk "$value"'{ held = value("held_out_loss")
      if (value("step") % 50 == 0 || value("step") == 1 || held != "")
        printf "step %4d: loss %.4f, %.0f tokens/s, mfu %.3f, %.1f GiB%s\n", value("step"), value("loss"),
               value("tokens_per_second"), value("mfu"), value("peak_memory_bytes") / 2 ^ 30,
               held == "" ? "" : ", held-out loss " held }
    NR == 1 { first = value("loss") } { last = value("loss") }
    END { print last < first ? "the loss falls" : "THE LOSS DOES NOT FALL" }' "$out/124M/metrics.jsonl"
  grep -a 'held-out' "$out/124M.log" | tail -1
fi

if has slice; then
  say "8B_slice"
  if [ "${memory:-0}" -lt 92160 ]; then
    echo "skipped: the GPU has ${memory:-no} MiB, and the slice takes 90 GiB"
  else
    flags=(--model.flavor 8B_slice --training.seq_len 8192 --training.local_batch_size 1 --training.global_batch_size 1
      --training.steps 8 --training.mixed_precision_param bfloat16)
    "$build/cuda/examples/llama3" plan --plan.world_size 1 "${flags[@]}"
    nvidia-smi --query-gpu=memory.used --format=csv,noheader,nounits -lms 500 >"$out/8B_slice.memory" &
    watching=$!
    train cuda llama3 8B_slice 240 "${flags[@]}" --training.dataset random --metrics.log_freq 1 ||
      { tail -3 "$out/8B_slice.log"; failed "8B_slice"; }
    kill $watching
    awk "$value"'{ printf "step %d: loss %.4f, %.0f tokens/s, mfu %.3f, %.1f GiB\n", value("step"), value("loss"),
        value("tokens_per_second"), value("mfu"), value("peak_memory_bytes") / 2 ^ 30 }' "$out/8B_slice/metrics.jsonl"
    awk '$1 > most { most = $1 } END { printf "nvidia-smi: at most %.1f GiB in use\n", most / 1024 }' "$out/8B_slice.memory"
  fi
fi

if has trace; then
  say "traces"
  library=$PWD/$build/trace/libashlar_trace.so
  [[ $build != /* ]] || library=$build/trace/libashlar_trace.so
  # traced NAME RECIPE FLAG...: 12 steps, of which the first and the last are logged.
  traced() {
    local name=$1 recipe=$2
    shift 2
    rm -f "$out/trace-$name.txt"
    CUDA_INJECTION64_PATH=$library ASHLAR_TRACE=$out/trace-$name train cuda "$recipe" traced-$name 120 --training.steps 12 \
      --training.dataset random --training.mixed_precision_param bfloat16 --metrics.log_freq 1000 "$@" || failed "the traced run of $name"
    echo "-- $name"
    if [ ! -f "$out/trace-$name.txt" ]; then
      tail -3 "$out/traced-$name.log"
      failed "$name: no trace was written"
      return
    fi
    # The kernels that took longest, and all that is said of the host.
    awk '/makes the host wait/ { all = 1 } all || NR <= 24' "$out/trace-$name.txt"
    grep -q 'waits inside steady steps: 0$' "$out/trace-$name.txt" || failed "$name: the host waits inside a step"
  }
  small=(--model.flavor debugmodel --training.local_batch_size 8 --training.global_batch_size 8 --training.seq_len 256)
  traced debugmodel llama3 "${small[@]}"
  traced debug_moe debug_moe "${small[@]}"
  traced 124M llama3 --model.flavor 124M --training.local_batch_size 32 --training.global_batch_size 32 --training.seq_len 1024
  [ "${memory:-0}" -lt 92160 ] ||
    traced 8B_slice llama3 --model.flavor 8B_slice --training.local_batch_size 1 --training.global_batch_size 1 --training.seq_len 8192
fi
say "$failures failures"
[ $failures = 0 ]
