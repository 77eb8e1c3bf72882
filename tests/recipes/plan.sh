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
while read -r recipe flavor parameters; do
  says "$recipe $flavor has its parameters" "\"parameters\": $parameters," "$recipes/$recipe" plan --model.flavor "$flavor" --json
done <<'TABLE'
llama3 124M 123551232
llama3 laptop 11015040
llama3 8B 8030261248
llama3 70B 70553706496
llama3 405B 405853388800
llama3 3.1-8B 8030261248
llama3 3.1-70B 70553706496
llama3 3.1-405B 405853388800
llama3 3.2-1B 1235814400
llama3 3.2-3B 3212749824
qwen3 0.6B 596049920
qwen3 1.7B 1720574976
qwen3 4B 4022468096
qwen3 8B 8190735360
qwen3 14B 14768307200
qwen3 32B 32762123264
qwen3 debugmodel_moe 4717084672
qwen3 30B-A3B 30532122624
qwen3 235B-A22B 235093634560
deepseek_v3 debugmodel 33014016
deepseek_v3 16B 15706484224
deepseek_v3 236B 235741434880
deepseek_v3 671B 671026404352
llama4 debugmodel 15017216
llama4 17bx16e 107769861120
llama4 17bx128e 400711848960
TABLE
TIMEFORMAT='%U'
{ time timeout 60 "$deepseek_v3" plan --json --model.flavor 671B --plan.world_size 2048 --training.seq_len 4096 \
  --training.local_batch_size 16 --parallelism.pipeline_parallel_degree 16 --parallelism.data_parallel_shard_degree 128 \
  --parallelism.expert_parallel_degree 64 >out.log 2>err.log; } 2>seconds.log
check "671B on 2,048 ranks takes $(tail -n 1 seconds.log) s, below 10" awk '{ exit !($1 < 10) }' seconds.log
check "671B on 2,048 ranks" grep -qF '"parameters": 671026404352, "world_size": 2048' out.log
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
