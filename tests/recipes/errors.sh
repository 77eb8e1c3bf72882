#!/usr/bin/env bash
# Usage: errors.sh FOLDER. What a user does wrong is answered by one message on stderr and a status of 1.
source "$(dirname "$0")/checks.sh" "$@"
ulimit -c unlimited 2>/dev/null

# refuses TEXT COMMAND...: status 1, one line on stderr (lines of a run that had begun aside), TEXT in it, and no trace
# of a crash.
refuses() {
  local sentence=$1 status
  shift
  timeout 120 "$@" >out.log 2>err.log
  status=$?
  if [ $status != 1 ]; then
    failure "\"$sentence\": status $status, not 1"
  elif [ "$(grep -vcE '^(llama3|debug_moe) debugmodel: |^step |^going on ' err.log)" != 1 ]; then
    failure "\"$sentence\": not one line, but"
  elif ! grep -qF -- "$sentence" err.log; then
    failure "\"$sentence\" is not said, but"
  elif grep -qiE 'terminate|abort|what\(\)|core dumped|Segmentation' err.log; then
    failure "\"$sentence\": a crash"
  elif grep -qF -- "$sentence" out.log; then
    failure "\"$sentence\" is on stdout"
  else
    echo "passed: $(grep -F -- "$sentence" err.log)"
    return
  fi
  cat err.log
}

run="train $small --training.dataset random --training.steps 2"
refuses 'unknown subcommand "tran"; the nearest valid name is "train"' "$llama3" tran
refuses 'unknown flag --training.step; the nearest valid name is --training.steps' "$llama3" train --training.step 3
refuses 'unexpected argument "steps"' "$llama3" train steps
refuses '--training.steps: a value must follow' "$llama3" train --training.steps
refuses '--training.steps: expected an integer' "$llama3" $run --training.steps many
refuses '--training.seq_len: must be at least 1, found -5' "$llama3" $run --training.seq_len -5
refuses '--optimizer.lr: ' "$llama3" $run --optimizer.lr nan
refuses '--training.dataset: must be one of text, random' "$llama3" $run --training.dataset texts
refuses 'needs --training.dataset_path' "$llama3" train $small --training.steps 2
refuses 'is not a file or folder that can be read' "$llama3" train $small --training.dataset_path not_there
: >empty.txt
refuses 'has no text in it' "$llama3" train $small --training.dataset_path empty.txt
mkdir empty
refuses 'has no text in it' "$llama3" train $small --training.dataset_path empty
echo short >short.txt
refuses 'fewer than one row of --training.seq_len' "$llama3" train $small --training.dataset_path short.txt
refuses 'the text has 7 tokens' "$llama3" train $small --training.dataset_path short.txt --model.flavor 405B
refuses '--validation.held_out_fraction 0.001 holds out' "$llama3" train $small $text --validation.enable \
  --validation.held_out_fraction 0.001
refuses '--validation.enable needs --training.dataset text' "$llama3" $run --validation.enable
refuses 'evaluate needs --training.dataset text' "$llama3" evaluate --training.dataset random
refuses 'is not a flavor of llama3; there are debugmodel' "$llama3" $run --model.flavor 9B
refuses '--parallelism.tensor_parallel_degree' "$llama3" $run --parallelism.tensor_parallel_degree 2
refuses '--parallelism.tensor_parallel_degree 3 must divide' "$llama3" plan --parallelism.tensor_parallel_degree 3
refuses 'add tp to it and build again' "$debug_moe" plan --parallelism.tensor_parallel_degree 2
refuses 'training.global_batch_size: must be a multiple' "$llama3" $run --training.global_batch_size 3
refuses 'must be one of bfloat16, float32, float64' "$llama3" $run --training.mixed_precision_param float16
refuses 'not compiled into this binary; its recipe has float32, bfloat16' "$llama3" $run \
  --training.mixed_precision_param float64
refuses 'not_there.json: ' "$llama3" train --config not_there.json
echo '{"training": {"stepz": 3}}' >wrong.json
refuses 'unknown key "training.stepz"; the nearest valid name is "training.steps"' "$llama3" train --config wrong.json
echo '{"training": {"steps": "3"' >torn.json
refuses 'torn.json: not JSON' "$llama3" train --config torn.json
echo '{"training": {"steps": [3]}}' >kind.json
refuses 'training.steps' "$llama3" train --config kind.json
{
  head -c 1000000 /dev/zero | tr '\0' '['
  head -c 1000000 /dev/zero | tr '\0' ']'
} >deep.json
refuses 'deep.json: is nested too deep' "$llama3" train --config deep.json

# Sizes that can't be meant are refused at once.
huge=2147483647
refuses 'plan works out at most 16777216 ranks' "$llama3" plan --parallelism.tensor_parallel_degree 65536 \
  --parallelism.pipeline_parallel_degree 65536
refuses 'is above the limit of 1099511627776 tokens' "$llama3" plan --training.local_batch_size $huge \
  --training.seq_len $huge
refuses '268435455 micro-batches on 1 pipeline ranks is above' "$llama3" plan --training.seq_len 16 \
  --training.global_batch_size 2147483640
refuses '1073741823 micro-batches on 1 pipeline ranks is above' "$llama3" $run --training.global_batch_size 2147483646
refuses 'first_stage_less_layers: must be at least 0 and at most 4096' "$llama3" plan \
  --parallelism.pipeline_parallel_degree 2 --parallelism.pipeline_parallel_first_stage_less_layers $huge
# A text of zeros, larger than the address space that the run may use.
truncate -s 8G large.txt
refuses 'out of memory: the host' bash -c 'ulimit -v 2000000 && exec "$@"' bash "$llama3" train $small \
  --training.dataset_path large.txt
rm large.txt

# A file where the folder should be is unwritable for root too.
: >file
refuses "--job.dump_folder file: can't make the folder: Not a directory" "$llama3" $run --job.dump_folder file
refuses '/proc/nowhere' "$llama3" $run --job.dump_folder /proc/nowhere
mkdir blocked
: >blocked/checkpoint
refuses 'blocked/checkpoint' "$llama3" $run --job.dump_folder blocked --checkpoint.enable
refuses '--checkpoint.load_step 7: ' "$llama3" $run --job.dump_folder new --checkpoint.enable --checkpoint.load_step 7
refuses 'holds no complete checkpoint' "$llama3" generate --job.dump_folder new
refuses 'holds no complete checkpoint' "$llama3" evaluate --job.dump_folder new $text --training.seq_len 32
refuses 'is not there; name a checkpoint' "$llama3" convert --job.dump_folder new
refuses 'empty/step-7 is not there' "$llama3" convert --job.dump_folder new --checkpoint.initial_load_path empty \
  --checkpoint.load_step 7
refuses 'not_there: ' "$llama3" $run --job.dump_folder new --checkpoint.initial_load_path not_there

# Damage of every kind, to a checkpoint that is otherwise good.
passes "a run to damage" "$llama3" $run --job.dump_folder good --checkpoint.enable
go_on="$run --training.steps 3 --checkpoint.enable --job.dump_folder damaged"
damaged() {
  rm -rf damaged
  cp -r good damaged
  cd damaged/checkpoint/step-2 || exit 1
  eval "$1"
  cd "$work" || exit 1
}
weights=rank-00000-of-00001.safetensors
damaged "truncate -s -4096 $weights"
refuses "$weights" "$llama3" $go_on
damaged "rm $weights"
refuses "$weights" "$llama3" $go_on
damaged "printf '\377\377\377\377' | dd of=$weights conv=notrunc status=none"
refuses "$weights" "$llama3" $go_on
damaged "printf 'XXXX' | dd of=$weights bs=1 seek=8 conv=notrunc status=none"
refuses "$weights" "$llama3" $go_on
damaged "truncate -s 20 checkpoint.json"
refuses 'checkpoint.json' "$llama3" $go_on
damaged "echo '{}' >checkpoint.json"
refuses 'checkpoint.json' "$llama3" $go_on
damaged :
refuses 'check --model.flavor' "$debug_moe" train $small --training.dataset random --training.steps 3 \
  --checkpoint.enable --job.dump_folder damaged
check "no core was dumped" [ -z "$(find "$work" -name 'core*')" ]
