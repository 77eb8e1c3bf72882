#!/usr/bin/env bash
# Usage: train.sh FOLDER. The subcommand train as users and scripts call it: the log of metrics, and runs that stop, are
# killed and go on.
source "$(dirname "$0")/checks.sh" "$@"

# The form that other programs' comparisons rely on.
form="--model.flavor debugmodel --training.local_batch_size 8 --training.global_batch_size 8 --training.seq_len 256
  --training.mixed_precision_param float32 $text --metrics.log_freq 1 --checkpoint.enable true --checkpoint.interval 3"
passes "the documented command" "$llama3" train $form --training.steps 2 --job.dump_folder form \
  --job.description "A line."
check "the description is shown at the start" [ "$(cat out.log err.log | head -n 1)" = "A line." ]
check "a warm-up longer than the run is pointed out" grep -q "the warm-up takes all of them" err.log out.log
check "a line a step" [ "$(values form/metrics.jsonl loss | cut -d ' ' -f 1 | tr '\n' ' ')" = "1 2 " ]
for key in loss grad_norm lr tokens_per_second peak_memory_bytes mfu tokens elapsed_seconds; do
  check "metrics have $key" [ "$(values form/metrics.jsonl "$key" | wc -l)" = 2 ]
done
check "tokens are those of all steps" [ "$(values form/metrics.jsonl tokens | tail -n 1)" = "2 4096" ]
check "the loss begins near ln 2048" awk '$1 == 1 && $2 > 7.5 && $2 < 8.7 { ok = 1 } END { exit !ok }' \
  <(values form/metrics.jsonl loss)

# By default the learning rate is a function of the run's length too: it decays over all steps after the warm-up. Here it
# is not, so that runs of different lengths have their first steps in common.
run="train $small $text --lr_scheduler.warmup_steps 4 --lr_scheduler.decay_ratio 0 --checkpoint.enable true --checkpoint.interval 3"
passes "without an interruption" "$llama3" $run --training.steps 10 --job.dump_folder whole
check "the loss falls" awk 'NR == 1 { first = $2 } { last = $2 } END { exit !(last < first) }' \
  <(values whole/metrics.jsonl loss)

passes "five steps" "$llama3" $run --training.steps 5 --job.dump_folder longer
check "the last step is saved" [ -f longer/checkpoint/step-5/checkpoint.json ]
passes "five more" "$llama3" $run --training.steps 10 --job.dump_folder longer
same_trajectory "a run that goes on equals one that never stopped" whole longer
passes "nothing is left to do" "$llama3" $run --training.steps 10 --job.dump_folder longer
same_trajectory "a finished run started again changes nothing" whole longer

# Killed between checkpoints: steps after the last one are repeated, and stand once in the log.
"$llama3" $run --training.steps 1000 --job.dump_folder killed >killed.log 2>&1 &
pid=$!
check "the run reaches step 4" wait_for_step killed 4
kill -KILL $pid
wait $pid 2>/dev/null
check "nothing half written is taken for a checkpoint" [ -f killed/checkpoint/step-3/checkpoint.json ]
last=$(values killed/metrics.jsonl loss | tail -n 1 | cut -d ' ' -f 1)
if [ "$last" -lt 10 ]; then
  passes "started again after SIGKILL" "$llama3" $run --training.steps 10 --job.dump_folder killed
  same_trajectory "after SIGKILL" whole killed
else
  echo "skipped: the machine was too fast to kill the run before step 10"
fi

# SIGTERM: the step at hand is finished and saved, and the status is 0.
"$llama3" $run --training.steps 1000 --job.dump_folder stopped >stopped.log 2>&1 &
pid=$!
check "the run reaches step 1" wait_for_step stopped 1
kill -TERM $pid
wait $pid
check "SIGTERM ends the run with status 0" [ $? = 0 ]
last=$(values stopped/metrics.jsonl loss | tail -n 1 | cut -d ' ' -f 1)
check "the step at which it stopped is saved" [ -f "stopped/checkpoint/step-$last/checkpoint.json" ]
check "it says so" grep -q "stopped after step $last" stopped.log
passes "started again after SIGTERM" "$llama3" $run --training.steps $((last + 2)) --job.dump_folder stopped
check "it goes on where it stopped" grep -q "going on after step $last" err.log out.log
check "after SIGTERM every step stands once" [ "$(trajectory stopped | wc -l)" = $((last + 2)) ]
check "after SIGTERM steps are those of the whole run" \
  [ "$(trajectory stopped | head -n 10)" = "$(trajectory whole | head -n $((last + 2)))" ]

cat >config.json <<JSON
{
  // The same as the flags.
  "training": {"local_batch_size": 2, "seq_len": 32, "mixed_precision_param": "float32", "steps": 3,
               "dataset": "text", "dataset_path": "$work/text.txt"},
  "metrics": {"log_freq": 1},
  "job": {"dump_folder": "by_file"}
}
JSON
passes "from a file" "$llama3" train --config config.json
passes "by flags" "$llama3" train $small $text --training.steps 3 --job.dump_folder by_flags
same_trajectory "a file equals flags" by_file by_flags
passes "flags over a file" "$llama3" train --config config.json --training.steps=2 --job.dump_folder over
check "a flag counts more than the file" [ "$(trajectory over | wc -l)" = 2 ]

for mode in none selective full; do
  passes "bfloat16, checkpoint mode $mode" "$llama3" train $small $text --training.mixed_precision_param bfloat16 \
    --activation_checkpoint.mode $mode --training.steps 3 --job.dump_folder "bf16_$mode"
done
check "bfloat16 has losses" [ "$(trajectory bf16_none | grep -c '"loss":[0-9]')" = 3 ]
same_trajectory "recomputing changes nothing: selective" bf16_none bf16_selective
same_trajectory "recomputing changes nothing: full" bf16_none bf16_full
for recipe in llama3 qwen3 deepseek_v3 llama4 debug_moe; do
  passes "$recipe on random tokens" "$recipes/$recipe" train $small --training.dataset random --training.steps 2 \
    --job.dump_folder "random_$recipe"
  passes "again" "$recipes/$recipe" train $small --training.dataset random --training.steps 2 \
    --job.dump_folder "random_again_$recipe"
  same_trajectory "$recipe: a run is a function of its seed" "random_$recipe" "random_again_$recipe"
done
