#!/usr/bin/env bash
# Usage: own_loop.sh FOLDER. The example own_loop trains under its own loss: it begins at the loss of a guess over the
# 2048 ids, ln 2048 = 7.6, and falls. Were targets that do not count counted, half of all, it would begin at twice that.
source "$(dirname "$0")/checks.sh" "$@"

passes "own_loop" "$recipes/own_loop"
losses() { sed -n 's/^step *\([0-9]*\)  loss \([0-9.]*\)  gradient norm [0-9.]*$/\1 \2/p' out.log; }
check "a line a step" [ "$(losses | cut -d ' ' -f 1 | tr '\n' ' ')" = "$(seq -s ' ' 20) " ]
check "it begins near the loss of a guess" awk 'NR == 1 { exit !($2 > 7 && $2 < 8.5) }' <(losses)
check "and falls" awk 'NR == 1 { first = $2 } { last = $2 } END { exit !(last < first - 1) }' <(losses)
