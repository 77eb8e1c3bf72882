#!/usr/bin/env bash
# From a bare Debian or Ubuntu (g++, cmake) to a model that writes: installs what is missing, builds the llama3 example,
# trains its debug model byte by byte on the texts of the package `fortunes`, and lets it continue a prompt. Under five
# minutes on two cores. Leaves checkpoints and metrics.jsonl in outputs/quickstart; run again, it trains anew.
set -eu
cd "$(dirname "$0")/.."

# What is trained: the numbers of the run, in one place.
batch=4
seq_len=128
steps=600
lr=2e-3
warmup=50
validation_every=100
prompt='A computer '
# Threads that wait give way: on a machine that does other things too, this is much faster.
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}

tests/install_packages.sh quickstart

echo "== Building llama3"
cmake --preset cpu >/dev/null
cmake --build build/cpu --target llama3

text=build/quickstart/fortunes.txt
output=outputs/quickstart
mkdir -p "$(dirname "$text")"
# The files without extension, in an order that no locale changes.
find /usr/share/games/fortunes -type f ! -name '*.*' | LC_ALL=C sort | xargs cat >"$text"
echo "== Training on $(wc -c <"$text") bytes, the last tenth held out"
rm -rf "$output"
build/cpu/examples/llama3 train \
  --job.dump_folder "$output" --model.flavor debugmodel \
  --training.dataset text --training.dataset_path "$text" --training.mixed_precision_param float32 \
  --training.local_batch_size $batch --training.seq_len $seq_len --training.steps $steps \
  --optimizer.lr $lr --lr_scheduler.warmup_steps $warmup \
  --validation.enable --validation.freq $validation_every --validation.held_out_fraction 0.1 \
  --checkpoint.enable --checkpoint.interval $steps

echo "== Generating"
build/cpu/examples/llama3 generate \
  --job.dump_folder "$output" --model.flavor debugmodel --training.mixed_precision_param float32 --training.seq_len 512 \
  --generate.prompt "$prompt" --generate.tokens 300
