#!/usr/bin/env bash
# Usage: must_fail.sh SOURCE COMPILER [FLAG...]. SOURCE compiles with -DGOOD; without it, the compiler's first error is
# the sentence of the source's line `// expect: SENTENCE`.
set -u
source=$1
shift
sentence=$(sed -n 's|^// expect: ||p' "$source")
[ -n "$sentence" ] || { echo "$source has no line '// expect: SENTENCE'"; exit 1; }
if ! output=$("$@" -fsyntax-only -DGOOD "$source" 2>&1); then
  printf '%s does not compile with -DGOOD:\n%s\n' "$source" "$output"
  exit 1
fi
if output=$(LC_ALL=C "$@" -fsyntax-only "$source" 2>&1); then
  echo "$source compiles, but must not"
  exit 1
fi
first=$(grep -m 1 'error:' <<<"$output")
if ! grep -qF -- "$sentence" <<<"$first"; then
  printf 'The first error of %s does not say\n  %s\nbut\n  %s\n' "$source" "$sentence" "$first"
  exit 1
fi
echo "says: $first"
