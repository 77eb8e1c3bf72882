#!/usr/bin/env bash
# Usage: plan.sh FOLDER. The subcommand plan: parameters, memory and traffic of runs of any size, without the machines.
source "$(dirname "$0")/checks.sh" "$@"

# says NAME TEXT COMMAND...: TEXT is in the output.
says() {
  local name=$1 sentence=$2
  shift 2
  timeout 60 "$@" >out.log 2>err.log
  check "$name" grep -qF -- "$sentence" out.log
}
says "8B has its parameters" '"parameters": 8030261248' "$llama3" plan --model.flavor 8B --json
says "70B has its parameters" '"parameters": 70553706496' "$llama3" plan --model.flavor 70B --json
says "405B has its parameters" '"parameters": 405853388800' "$llama3" plan --model.flavor 405B --json
says "the flag's whole name" '"parameters": 6163712' "$llama3" plan --model.flavor debugmodel --plan.json true
says "for people" '6,163,712 parameters on 1 ranks' "$llama3" plan --model.flavor debugmodel

plan64="plan --json --training.local_batch_size 2 --training.seq_len 8192 --parallelism.pipeline_parallel_degree 2
  --parallelism.data_parallel_shard_degree 8 --parallelism.tensor_parallel_degree 4 --model.flavor"
for flavor in 8B 405B; do
  TIMEFORMAT='%U'
  { time timeout 60 "$llama3" $plan64 $flavor >out.log 2>err.log; } 2>seconds.log
  seconds=$(tail -n 1 seconds.log)
  check "$flavor on 64 ranks takes $seconds s, below 5" awk -v s="$seconds" 'BEGIN { exit !(s < 5) }'
  for text in '"world_size": 64' '"degrees": {"pp": 2, "dp_replicate": 1, "dp_shard": 8, "tp": 4, "ep": 1}'; do
    check "$flavor: $text" grep -qF "$text" out.log
  done
  for axis in pp dp_shard tp; do
    check "$flavor: traffic over $axis on both stages" [ \
      "$(grep -oE "\"$axis\": \{\"messages\": [1-9][0-9]*, \"bytes\": [1-9]" out.log | wc -l)" = 2 ]
  done
done
check "bytes read and written by each stage" [ "$(grep -oE '"memory_traffic_bytes": [1-9]' out.log | wc -l)" = 2 ]
# Half of the layers each, and the ends: no parameter is counted twice.
check "stages add up to the whole" grep -qF '"parameters": 405853388800' out.log

timeout 60 "$debug_moe" plan --json --model.flavor debugmodel --parallelism.data_parallel_shard_degree 4 \
  --parallelism.expert_parallel_degree 4 >out.log 2>err.log
number() { grep -oE "\"$1\": [0-9]+" out.log | head -n 1 | tr -dc 0-9; }
check "the experts' worst case needs more memory than the balanced one" \
  [ "$(number worst_arena_bytes)" -gt "$(number arena_bytes)" ]
check "traffic over ep" grep -qE '"ep": \{"messages": [1-9]' out.log
says "the worst case for people" 'if all tokens are routed here' "$debug_moe" plan --model.flavor debugmodel \
  --parallelism.data_parallel_shard_degree 4 --parallelism.expert_parallel_degree 4
says "a world size fills the sharding degree" '"dp_shard": 16' "$llama3" plan --json --model.flavor 8B \
  --plan.world_size 16
