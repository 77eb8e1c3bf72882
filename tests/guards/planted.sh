#!/usr/bin/env bash
# Usage: planted.sh. The guards must be able to fail: plants one fault at a time in a small tree, and expects the guard
# to name it.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

# expect GUARD FILE TEXT REPORT: with TEXT in FILE the guard fails and says REPORT (a fixed string).
expect() {
  local output
  rm -rf "$tree"/*
  mkdir -p "$tree"/{cmake,examples,tests,benchmarks,docs} "$tree"/include/ashlar/{ops/{rope,router,elementwise},nn,optim,core,moe,emulator}
  for header in nn/linear ops/rope/rope ops/router/router ops/elementwise/cpu moe/moe emulator/simt; do
    echo '#pragma once' >"$tree/include/ashlar/$header.hpp"
  done
  echo '#pragma once' >"$tree/include/ashlar/ops/rope/cuda.cuh"
  if ! "$here/$1" "$tree" >/dev/null; then
    echo "FAILED: $1 finds a fault in a tree without one"
    failed=1
  fi
  mkdir -p "$(dirname "$tree/$2")"
  printf '%b\n' "$3" >>"$tree/$2"
  if output=$("$here/$1" "$tree"); then
    echo "FAILED: $1 accepts '$3' in $2"
    failed=1
  elif ! grep -qF -- "$4" <<<"$output"; then
    echo "FAILED: $1 does not say '$4' about '$3' in $2 but: $output"
    failed=1
  fi
}

once='#pragma once\n'
expect layers.sh include/ashlar/nn/linear.hpp '#include "ashlar/moe/moe.hpp"' 'nn/ includes moe/'
expect layers.sh include/ashlar/config/field.hpp "$once#include \"ashlar/nn/linear.hpp\"" 'config/ includes nn/'
expect layers.sh include/ashlar/ops/rope/rope.hpp '#include "ashlar/ops/router/router.hpp"' 'ops/rope includes ops/router'
expect layers.sh include/ashlar/ops/rope/cuda.cuh '#include "ashlar/emulator/simt.hpp"' 'device/cuda has what it models'
expect layers.sh include/ashlar/ops/rope/rope.hpp '#include "ashlar/ops/rope/cuda.cuh"' 'includes no .cuh'
expect layers.sh include/ashlar/nn/linear.hpp '#include "ashlar/nn/missing.hpp"' 'does not exist'
expect layers.sh include/ashlar/nn/linear.hpp '#include <Eigen/Core>' 'Eigen is for'
expect layers.sh include/ashlar/nn/linear.hpp '#include <nlohmann/json.hpp>' 'JSON is for'
expect layers.sh include/ashlar/ops/rope/cuda.cuh '#include <nlohmann/json.hpp>' 'does not belong here'
expect layers.sh include/ashlar/nn/linear.hpp '#include <fmt/core.h>' 'does not belong here'
expect layers.sh include/ashlar/nn/linear.hpp '#include <iostream>' 'slow to include'
expect layers.sh include/ashlar/nn/linear.hpp '#define MAXIMUM 3' 'macros belong in'
expect layers.sh include/ashlar/nn/linear.hpp '// Read next: models/block.hpp.' 'models/block.hpp, which a comment names, does not exist'
expect layers.sh include/ashlar/nn/other.hpp "// Other. Used by\\n// nn/linear.hpp.\\n$once" 'the head says who uses the file'
expect layers.sh include/ashlar/nn/other.hpp 'struct Other;' 'needs one #pragma once'
expect layers.sh include/ashlar/nn/rope_utils.hpp "$once" 'name the concept'
expect layers.sh include/ashlar/extra/thing.hpp "$once#include \"ashlar/nn/linear.hpp\"" 'a folder without a layer'
expect layers.sh include/ashlar/nn/Camel.hpp "$once" 'snake_case'
expect layers.sh tests/long.cpp "$(seq -s '\n' 501)" 'split what is over 500'
expect vocabulary.sh include/ashlar/nn/linear.hpp 'int n_heads = 0;' 'say num_'
expect vocabulary.sh include/ashlar/nn/linear.hpp 'struct ProcessGroup;' 'say Communicator'
expect vocabulary.sh include/ashlar/nn/zero3.hpp "$once" 'say fsdp'
expect vocabulary.sh docs/page.md 'see /home/me/notes' 'a local path'
expect vocabulary.sh docs/page.md 'TODO' 'unfinished'
[ $failed = 0 ] && echo "every planted fault was found"
exit $failed
