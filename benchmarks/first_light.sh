#!/usr/bin/env bash
# First light on a GPU: builds the recipes and the kernels' tests for the device, runs them, and trains the debug models.
# Usage: bash benchmarks/first_light.sh OUT_FOLDER. Needs the CUDA Toolkit, CMake, Eigen, nlohmann/json and Catch2.
set -u
out=${1:?an output folder}
mkdir -p "$out"
cores=$(nproc)
build=/tmp/first_light
rm -rf "$build" && mkdir -p "$build"
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
say() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

say "build the recipes"
cmake -S . -B "$build/cuda" -G Ninja -DCMAKE_BUILD_TYPE=Release -DASHLAR_CUDA=ON -DASHLAR_TESTS=OFF -DASHLAR_ONEDNN=OFF \
  >"$out/configure.log" 2>&1 || { tail -20 "$out/configure.log"; exit 1; }
(cmake --build "$build/cuda" -j "$cores" >"$out/build.log" 2>&1 || { grep -E 'error|warning' "$out/build.log" | head -20; echo "build failed"; }) &
building=$!

if [ "${TESTS:-1}" = 1 ]; then
say "build the kernels' tests for the device"
flags="-std=c++20 -arch=sm_90a --expt-relaxed-constexpr -O2 -Iinclude -Itests -DASHLAR_WITH_CUDA=1 -I/usr/include/eigen3 -Xcompiler -w -w"
ls tests/cuda/*.cpp tests/simt/kernels.cpp | grep -v training.cpp | xargs -P "$cores" -I{} sh -c \
  'n=$(basename {} .cpp); nvcc -x cu '"$flags"' -c {} -o '"$build"'/$n.o >'"$build"'/$n.log 2>&1 || { echo "FAILED to compile {}"; grep error '"$build"'/$n.log | head -5; }'
for object in "$build"/*.o; do
  n=$(basename "$object" .o)
  nvcc "$object" -o "$build/$n" -lCatch2Main -lCatch2 -lcublasLt 2>"$build/$n.link" || { echo "FAILED to link $n"; tail -3 "$build/$n.link"; }
done
say "run the kernels' tests"
for object in "$build"/*.o; do
  n=$(basename "$object" .o)
  [ -x "$build/$n" ] || continue
  timeout 120 "$build/$n" >"$out/$n.txt" 2>&1
  echo "$n: exit $?, $(grep -E 'assertions|passed' "$out/$n.txt" | tail -1)"
done

fi
wait "$building"
say "train"
printf 'the quick brown fox jumps over the lazy dog. %.0s' $(seq 4000) >"$build/text.txt"
for model in llama3 debug_moe; do
  for type in float32 bfloat16; do
    timeout 100 "$build/cuda/examples/$model" train --model.flavor debugmodel --training.steps 20 --training.local_batch_size 8 \
      --training.seq_len 256 --training.mixed_precision_param $type --training.dataset random \
      --job.dump_folder "$out/$model-$type" --metrics.log_freq 5 2>&1 | tail -6
  done
done
say done
