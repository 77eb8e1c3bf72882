#!/usr/bin/env bash
# Usage: install.sh BUILD WORK COMPILER. Installs the configured BUILD into WORK, then configures, builds and runs the
# project of this folder with nothing but the installed copy.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1 work=$2 compiler=$3
rm -rf "$work"
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_FLAGS="-O0 -Wall -Wextra -Wshadow -Werror" --no-warn-unused-cli
grep -q "^ashlar_DIR:PATH=$work/prefix" "$work/build/CMakeCache.txt"
cmake --build "$work/build"
"$work/build/consumer"
"$work/build/consumer_of_compiled"
# There is none where Boost.Context is not found.
[ ! -x "$work/build/consumer_kernel" ] || "$work/build/consumer_kernel"
