#!/usr/bin/env bash
# Usage: tokenize.sh FOLDER [LAUNCHER...]. Tokens other than bytes: text to a file of tokens and back, training on text and on
# such files, evaluation and generation.
tree=$(cd "$(dirname "$0")/../.." && pwd)
source "$(dirname "$0")/checks.sh" "$@"
goldens=$tree/tests/goldens/tokenizers

# fails NAME TEXT COMMAND...: status 1, and TEXT in one line on stderr.
fails() {
  local name=$1 sentence=$2 status
  shift 2
  timeout 120 "$@" >out.log 2>err.log
  status=$?
  if [ $status = 1 ] && [ "$(wc -l <err.log)" = 1 ] && grep -qF -- "$sentence" err.log; then
    echo "passed: $name: $(cat err.log)"
  else
    failure "$name: status $status"
    cat out.log err.log
  fi
}

passes "tokenize" "$llama3" tokenize --tokenizer "$goldens/llama3.json" --input "$tree/README.md" --output a.safetensors
check "it says how much" grep -qE '^a.safetensors: [0-9]+ tokens of [0-9]+ bytes$' out.log
check "the file is safetensors" grep -qa '"tokens":{"data_offsets":\[0,[0-9]*\],"dtype":"I32","shape":\[[0-9]*\]}' a.safetensors
passes "and back" "$llama3" tokenize --tokenizer "$goldens/llama3.json" --decode --input a.safetensors --output README.back
check "the bytes are the same" cmp "$tree/README.md" README.back
head -c 20000 "$llama3" >binary
for tokenizer in "" "$goldens/ranks.tiktoken" "$goldens/deepseek.json"; do
  passes "tokenize bytes that are no text" "$llama3" tokenize --tokenizer="$tokenizer" --input binary --output b.safetensors
  passes "and back" "$llama3" tokenize --tokenizer="$tokenizer" --decode --input b.safetensors --output binary.back
  check "the bytes are the same" cmp binary binary.back
done
printf 'e\xcc\x81' >marks
passes "tokenize with a tokenizer that changes text" "$llama3" tokenize --tokenizer "$goldens/qwen.json" --input marks --output c.safetensors
check "it says so" grep -q 'the tokenizer changes this text' out.log
: >empty
fails "an empty text" 'empty: is empty' "$llama3" tokenize --input empty --output c.safetensors
fails "no tokenizer" 'none.json: no tokenizer is there' "$llama3" tokenize --tokenizer none.json --input marks --output c.safetensors
fails "a text for tokens" 'marks: ' "$llama3" tokenize --decode --input marks --output c

train="train $small --training.steps 3 --lr_scheduler.warmup_steps 2 --validation.enable --checkpoint.enable"
text="--training.dataset_path $tree/README.md --training.tokenizer $goldens/llama3.json"
passes "train on text" "$llama3" $train $text --job.dump_folder run
check "the held-out loss is one a token" grep -q 'held-out loss [0-9.]* nats a token' out.log err.log
check "its tokens are in the dump folder" [ "$(ls run/tokens/*.safetensors | wc -l)" = 1 ]
before=$(stat -c %i run/tokens/*)
passes "evaluate" "$llama3" evaluate $small $text --job.dump_folder run
check "they are not written again" [ "$(stat -c %i run/tokens/*)" = "$before" ]
check "the loss is one a token, and one a byte" \
  grep -qE '^held-out loss [0-9.]+ nats a token \(perplexity [0-9.]+\); [0-9.]+ nats a byte \(perplexity [0-9.]+\)$' out.log
cp run/tokens/*.safetensors readme.safetensors
passes "train on a file of tokens" "$llama3" $train --training.dataset_path readme.safetensors --job.dump_folder mapped
check "the losses are the same" cmp <(values run/metrics.jsonl loss) <(values mapped/metrics.jsonl loss)
passes "evaluate without the tokenizer" "$llama3" evaluate $small --training.dataset_path readme.safetensors --job.dump_folder mapped
check "the loss is one a token" grep -qE '^held-out loss [0-9.]+ nats a token \(perplexity [0-9.]+\)$' out.log
passes "generate" "$llama3" generate --job.dump_folder run --training.tokenizer "$goldens/llama3.json" --training.seq_len 64 \
  --prompt "The model" --tokens 20 --seed 1
check "it begins with the prompt" grep -q '^The model.' out.log
fails "another tokenizer's tokens" 'does not fit into' "$llama3" evaluate $small --training.dataset_path readme.safetensors \
  --training.tokenizer "$goldens/words.json" --job.dump_folder run
