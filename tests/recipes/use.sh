#!/usr/bin/env bash
# Usage: use.sh FOLDER. What is done with a trained model: generate, evaluate, convert, and starting from its weights.
source "$(dirname "$0")/checks.sh" "$@"

passes "training" "$llama3" train $small $text --training.steps 12 --lr_scheduler.warmup_steps 2 --validation.enable \
  --checkpoint.enable --job.dump_folder run
check "training says the held-out loss" grep -q 'held-out loss [0-9.]* nats a byte; a byte bigram' out.log err.log
check "the log has held-out losses" grep -q '"held_out_loss":[0-9]' run/metrics.jsonl

generate="generate --job.dump_folder run --training.seq_len 64 --training.mixed_precision_param float32 --prompt line
  --tokens 100"
for n in 1 2; do
  passes "generate" "$llama3" $generate --seed 5
  cp out.log "text$n"
done
check "text is a function of the seed" cmp text1 text2
check "it begins with the prompt" grep -q '^line' text1
check "it is longer than the prompt" [ "$(wc -c <text1)" -gt 20 ]
passes "generate with another seed" "$llama3" $generate --seed 6
check "another seed, another text" [ "$(cat out.log)" != "$(cat text1)" ]
for n in 3 4; do
  passes "generate the likeliest" "$llama3" $generate --seed $n --temperature 0
  cp out.log "text$n"
done
check "at temperature 0 the seed plays no part" cmp text3 text4

evaluate="evaluate $small $text --job.dump_folder run"
passes "evaluate" "$llama3" $evaluate
loss() { sed -n 's/.*held-out loss \([0-9.]*\) nats.*/\1/p' out.log | head -n 1; }
trained=$(loss)
perplexity=$(sed -n 's/.*(perplexity \([0-9.]*\)).*/\1/p' out.log)
check "and the perplexity, its exponential" awk -v l="$trained" -v p="$perplexity" \
  'BEGIN { d = p / exp(l) - 1; exit !(d * d < 1e-8) }'
check "the text was held out, so nothing is said about it" [ "$(wc -l <out.log)" = 1 ]
passes "evaluate on more than was held out" "$llama3" $evaluate --validation.held_out_fraction 0.2
check "it says so" grep -q '^note: the run of this checkpoint held out only 0.1 of ' out.log
check "the held-out loss ($trained) is below that of a guess" awk -v l="$trained" 'BEGIN { exit !(l > 0 && l < 7) }'

passes "convert" "$llama3" convert --job.dump_folder run
check "it says where" [ "$(cat out.log)" = run/model.safetensors ]
check "and there it is" [ -s run/model.safetensors ]
# safetensors: the header's length in 8 bytes, then JSON.
check "with the names of weights" grep -qa '"tok_embeddings.weight":{' run/model.safetensors
check "and nothing of the optimizer" [ -z "$(head -c 100000 run/model.safetensors | grep -a 'optimizer\.')" ]
passes "evaluate what was converted" "$llama3" evaluate $small $text --job.dump_folder new \
  --checkpoint.initial_load_path run/model.safetensors
check "converted weights have the same loss" [ "$(loss)" = "$trained" ]
passes "train from what was converted" "$llama3" train $small $text --training.steps 1 --job.dump_folder new \
  --checkpoint.initial_load_path run/model.safetensors
check "it starts at step 1, with a trained loss" awk '$1 == 1 && $2 < 7 { ok = 1 } END { exit !ok }' \
  <(values new/metrics.jsonl loss)
passes "convert to bfloat16" "$llama3" convert --checkpoint.initial_load_path run/checkpoint/step-12 \
  --checkpoint.export_dtype bfloat16 --job.dump_folder half
bytes() { wc -c <"$1"; }
check "bfloat16 is half as long" [ "$(bytes half/model.safetensors)" -lt $(($(bytes run/model.safetensors) * 11 / 20)) ]
passes "evaluate bfloat16 weights" "$llama3" evaluate $small $text --job.dump_folder new \
  --checkpoint.initial_load_path half/model.safetensors
check "with nearly the same loss ($(loss))" awk -v a="$(loss)" -v b="$trained" 'BEGIN { d = a - b; exit !(d * d < 1e-4) }'

# Comparing two runs, tensor by tensor.
compare="train $small $text --training.mixed_precision_param float32 --training.steps 2 --job.dump_folder compare"
passes "two layouts are compared" "$llama3" $compare --debug.compare layout --parallelism.tensor_parallel_degree 2
check "and agree" grep -q '^[0-9]* tensors of 2 steps agree; the greatest relative difference is ' out.log
passes "a run is recorded" "$llama3" $compare --debug.record record
check "it says so" [ "$(cat out.log)" = "2 steps are in record" ]
passes "another layout agrees with it" "$llama3" $compare --debug.compare record --parallelism.pipeline_parallel_degree 2
passes "another seed does not" bash -c '! "$@"' - "$llama3" $compare --debug.compare record --training.seed 1
check "and the first tensor is named" grep -q '^step 1: the first difference is in tok_embeddings (forward), element ' err.log
