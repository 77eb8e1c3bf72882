#!/usr/bin/env bash
# Usage: emits_nothing.sh COMPILER [FLAG...]. A translation unit that includes the library and uses nothing of it must
# define nothing: what it defines, every program would compile again. (A virtual function that is declared in its class
# without `inline` and defined inline below makes its class's whole table and all its functions be emitted.)
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
echo '#include <ashlar/ashlar.hpp>' >"$work/include.cpp"
"$@" -O1 -c "$work/include.cpp" -o "$work/include.o"
defined=$(nm -C --defined-only "$work/include.o")
[ -z "$defined" ] || { printf '%s\n' "$defined" | head -20; echo "ashlar.hpp makes these be emitted wherever it is included"; exit 1; }
