#!/usr/bin/env bash
# Usage: mpi.sh FOLDER MPIRUN [ARGUMENT...], as in mpi.sh build/release/examples mpirun --oversubscribe
# Ranks as processes: every layout trains as one rank does, goes on from another layout's checkpoint, and fails aloud.
launcher=("${@:2}")
source "$(dirname "$0")/checks.sh" "$1"
export OMP_NUM_THREADS=1

global="--model.flavor debugmodel --training.global_batch_size 8 --training.seq_len 32
  --training.mixed_precision_param float32 --metrics.log_freq 1"
steps="--training.steps 5 --lr_scheduler.warmup_steps 2"
dp=--parallelism.data_parallel_shard_degree
replicate=--parallelism.data_parallel_replicate_degree
tp=--parallelism.tensor_parallel_degree
pp=--parallelism.pipeline_parallel_degree
ep=--parallelism.expert_parallel_degree
schedule=--parallelism.pipeline_parallel_schedule

# layout NAME RANKS RECIPE LOCAL_BATCH FLAG...: its losses are those of one rank, on text and on random tokens.
layout() {
  local name=$1 ranks=$2 recipe=$3 rows=$4 set
  shift 4
  for set in text random; do
    local folder=${recipe}_$set data=$text
    [ $set = text ] || data="--training.dataset random"
    if [ ! -d "$folder" ]; then
      passes "$recipe on one rank, $set" "$recipes/$recipe" train $global $steps $data \
        --training.local_batch_size 8 --job.dump_folder "$folder"
    fi
    rm -rf layout
    passes "$recipe, $name, $set" "${launcher[@]}" -n "$ranks" "$recipes/$recipe" train $global $steps $data \
      --training.local_batch_size "$rows" --job.dump_folder layout "$@"
    near "$recipe, $name, $set: equals one rank" "$folder" layout
  done
}

layout "dp_shard 2 x tp 2" 4 llama3 4 $dp 2 $tp 2
layout "dp_replicate 2" 2 llama3 2 $replicate 2 $dp 1
layout "pp 2 x tp 2, 1F1B" 4 llama3 8 $pp 2 $tp 2 $schedule 1F1B
layout "pp 2 x tp 2, ZBVZeroBubble" 4 llama3 8 $pp 2 $tp 2 $schedule ZBVZeroBubble
layout "pp 4, GPipe" 4 llama3 8 $pp 4 $schedule GPipe
layout "ep 2" 2 debug_moe 4 $ep 2
layout "ep 4" 4 debug_moe 2 $ep 4

# Three steps on one layout, the others on another: as if nothing had happened.
saved="$global $text $steps --checkpoint.enable --checkpoint.interval 3 --job.dump_folder moved"
passes "dp_shard 2, saved" "${launcher[@]}" -n 2 "$llama3" train $saved --training.local_batch_size 4 $dp 2
rm -r moved/checkpoint/step-5
passes "goes on as pp 2 x tp 2" "${launcher[@]}" -n 4 "$llama3" train $saved --training.local_batch_size 8 $pp 2 $tp 2
check "it went on after step 3" grep -q "going on after step 3" out.log err.log
near "goes on after another layout's step 3" llama3_text moved

# The launcher may give a rank a terminal whose text goes into a file.
TERM=xterm "${launcher[@]}" -n 2 "$llama3" train $global $text $steps --training.local_batch_size 4 $dp 2 \
  --job.dump_folder redirected >redirected.log 2>&1
check "the redirected run reports its steps" [ "$(grep -c '^step ' redirected.log)" = 5 ]
check "and writes nothing over" [ "$(grep -c $'\x1b' redirected.log)" = 0 ]

# A rank that dies ends the run.
"${launcher[@]}" -n 2 "$llama3" train $global $text --training.steps 1000 --training.local_batch_size 4 $dp 2 \
  --job.dump_folder dies >dies.log 2>&1 &
pid=$!
check "the run begins" wait_for_step dies 1
rank=$(pgrep -P $pid -f 'dump_folder dies' | tail -n 1)
check "a rank is found" [ -n "$rank" ]
kill -KILL "$rank"
for ((i = 0; i < 600; ++i)); do kill -0 $pid 2>/dev/null || break; sleep 0.1; done
check "a killed rank ends the run within a minute" [ "$i" -lt 600 ]
kill -KILL $pid 2>/dev/null
wait $pid
check "and not with status 0" [ $? != 0 ]

# says_once NAME TEXT COMMAND...: status 1, and TEXT stands once, from one rank.
says_once() {
  local name=$1 sentence=$2 status
  shift 2
  timeout 60 "$@" >out.log 2>err.log
  status=$?
  check "$name: status 1" [ $status = 1 ]
  check "$name: says it once" [ "$(cat out.log err.log | grep -cF -- "$sentence")" = 1 ]
}
says_once "degrees that do not fit" "which do not divide the 4 ranks" \
  "${launcher[@]}" -n 4 "$llama3" train $global $text $steps --training.local_batch_size 2 $tp 3
says_once "a strategy that is not compiled in" "add tp to it" \
  "${launcher[@]}" -n 2 "$debug_moe" train $global $text $steps --training.local_batch_size 4 $tp 2
says_once "an unknown flag" "unknown flag --training.stepz" "${launcher[@]}" -n 4 "$llama3" train --training.stepz 3
says_once "generate on two ranks" "generate runs on one rank" "${launcher[@]}" -n 2 "$llama3" generate
check "help comes once" [ "$("${launcher[@]}" -n 2 "$llama3" --help | grep -c '^subcommands:')" = 1 ]
