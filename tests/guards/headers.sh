#!/usr/bin/env bash
# Usage: headers.sh HOW ROOT FOLDER EXTENSION COMPILER [FLAG...]. Compiles headers of ROOT/include/ashlar/FOLDER as a
# program's first include, without making code. HOW is
#   all        every header alone;
#   untested   alone, those that are not the first include of any test or example: the build has compiled the others so;
#   together   all in one translation unit.
# Prints what failed and closes with a count; exit status 1 if something did.
set -u
how=$1 root=$2 folder=$3 extension=$4
shift 4
if [ "$folder" = . ]; then
  headers=$(cd "$root/include" && ls ashlar/*."$extension")
else
  headers=$(cd "$root/include" && find "ashlar/$folder" -name "*.$extension" | sort)
fi
if [ "$how" = untested ]; then
  # Tests of kernels define the emulator's macro: they count for .cuh alone.
  kernel_tests='/(cuda|simt|docs)/'
  if [ "$extension" = cuh ]; then pick=(grep -E); else pick=(grep -vE); fi
  first=$(find "$root/tests" "$root/examples" -name '*.cpp' -not -path '*/compile_fail/*' | "${pick[@]}" "$kernel_tests" |
    xargs grep -hm 1 '^#include' | sed -E 's/^[^"<]*["<]([^">]*)[">].*/\1/')
  headers=$(grep -vxF -- "$first" <<<"$headers")
fi
count=0 failed=0
check() {
  count=$((count + 1))
  "$@" || failed=$((failed + 1))
}
if [ "$how" = together ]; then
  check "${@}" -fsyntax-only $(sed 's/^/-include /' <<<"$headers") -x c++ /dev/null
else
  for header in $headers; do
    check "$@" -fsyntax-only -include "$header" -x c++ /dev/null
  done
fi
echo "$folder: $count compiled, $failed failed"
[ $failed = 0 ]
