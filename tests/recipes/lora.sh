#!/usr/bin/env bash
# Usage: lora.sh FOLDER. Adapters of low rank: trained beside the weights of a checkpoint, taken up again, used, and
# merged into weights for the plain recipe.
source "$(dirname "$0")/checks.sh" "$@"
lora=$recipes/llama3_lora

passes "training a base" "$llama3" train $small $text --training.steps 12 --lr_scheduler.warmup_steps 2 \
  --checkpoint.enable --job.dump_folder base
adapters="$small $text --lr_scheduler.warmup_steps 2 --optimizer.lr 5e-3 --lora.rank 4 --checkpoint.enable"
base="--checkpoint.base_path base/checkpoint"
check "without a base there is nothing to train" bash -c \
  "! '$lora' train $adapters --training.steps 1 --job.dump_folder run 2>err.log && grep -q -- --checkpoint.base_path err.log"
check "adapters of the plain recipe" bash -c \
  "! '$llama3' train $small $text --lora.rank 4 2>err.log && grep -q 'add Weights<LowRank>' err.log"

passes "training adapters" "$lora" train $adapters $base --training.steps 12 --job.dump_folder straight
first=$(values straight/metrics.jsonl loss | head -n 1 | cut -d ' ' -f 2)
last=$(values straight/metrics.jsonl loss | tail -n 1 | cut -d ' ' -f 2)
check "they begin at the base, and its loss falls ($first to $last)" awk -v a="$first" -v b="$last" \
  'BEGIN { exit !(a < 7 && b < a - 0.05) }'
passes "training the first half" "$lora" train $adapters $base --training.steps 12 --checkpoint.interval 6 \
  --checkpoint.keep_latest_k 0 --job.dump_folder run
rm -r run/checkpoint/step-12
passes "and the other half from its checkpoint" "$lora" train $adapters $base --training.steps 12 --job.dump_folder run
check "it went on where it was" grep -q 'going on after step 6' out.log err.log
same_trajectory "with the losses and norms of the run that was not interrupted" straight run

bytes() { cat "$@" | wc -c; }
check "a checkpoint of adapters is small" \
  [ $((10 * $(bytes run/checkpoint/step-12/*.safetensors))) -lt "$(bytes base/checkpoint/step-12/*.safetensors)" ]
loss() { sed -n 's/.*held-out loss \([0-9.]*\) nats.*/\1/p' out.log | head -n 1; }
passes "evaluating with adapters" "$lora" evaluate $small $text $base --lora.rank 4 --job.dump_folder run
adapted=$(loss)
passes "generating with adapters" "$lora" generate $base --lora.rank 4 --job.dump_folder run --training.seq_len 64 \
  --training.mixed_precision_param float32 --prompt line --tokens 20
passes "merging" "$lora" convert --job.dump_folder run
passes "evaluating what was merged" "$llama3" evaluate $small $text --job.dump_folder new \
  --checkpoint.initial_load_path run/model.safetensors
check "it has the loss of the adapters ($adapted, $(loss))" awk -v a="$adapted" -v b="$(loss)" \
  'BEGIN { d = a - b; exit !(a > 0 && d * d < 1e-10) }'

number() { grep -oE "\"$1\": [0-9]+" out.log | head -n 1 | tr -dc 0-9; }
passes "a plan" "$llama3" plan --json --model.flavor 8B
whole=$(number persistent_bytes)
passes "a plan with adapters" "$lora" plan --json --model.flavor 8B --lora.rank 16
check "a ninth of the memory: two bytes a frozen weight, not eighteen ($(number persistent_bytes) of $whole bytes)" \
  [ "$(number persistent_bytes)" -lt $((whole * 13 / 100)) ]
