#!/usr/bin/env bash
# The code that pages quote is the code that tests compile. A block that begins with
#   ```cpp file=tests/docs/a_router.cpp part=module
# must equal what stands in that file between the lines `// [module]` and `// [/module]`; without part=, the whole file.
# Usage: snippets.sh [--update] [ROOT]. Prints what differs and fails; with --update, rewrites the pages instead.
set -u
update=0
if [ "${1:-}" = --update ]; then
  update=1
  shift
fi
root=$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd) || exit 2
scratch=$(mktemp -d) || exit 2
trap 'rm -rf "$scratch"' EXIT
wrong=0 blocks=0

# quoted FILE PART: what a block should hold.
quoted() {
  if [ -z "$2" ]; then
    cat "$1"
  else
    awk -v part="$2" '$0 == "// [/" part "]" { inside = 0 } inside { print } $0 == "// [" part "]" { inside = 1; found = 1 }
      END { exit !found }' "$1"
  fi
}

while IFS= read -r -d '' page; do
  grep -qE '^```[a-z]+ file=' "$page" || continue
  : > "$scratch/page"
  state=text
  while IFS= read -r line; do
    if [ "$state" = text ]; then
      printf '%s\n' "$line" >> "$scratch/page"
      if [[ $line =~ ^\`\`\`[a-z]+\ file=([^ ]+)(\ part=([^ ]+))?$ ]]; then
        blocks=$((blocks + 1))
        file=${BASH_REMATCH[1]} part=${BASH_REMATCH[3]:-}
        if ! quoted "$root/$file" "$part" > "$scratch/want" 2> /dev/null; then
          echo "${page#"$root"/}: $file is not there${part:+, or has no part $part}"
          exit 1
        fi
        : > "$scratch/got"
        state=block
      elif [[ $line =~ ^\`\`\` ]]; then
        state=other
      fi
    elif [[ $line == '```' ]]; then
      if [ "$state" = block ]; then
        if ! diff "$scratch/want" "$scratch/got" > "$scratch/diff" && [ "$update" -eq 0 ]; then
          echo "${page#"$root"/}: the block of $file ${part:+part $part }differs (< file, > page):"
          cat "$scratch/diff"
          wrong=$((wrong + 1))
        fi
        cat "$scratch/want" >> "$scratch/page"
      fi
      printf '%s\n' "$line" >> "$scratch/page"
      state=text
    elif [ "$state" = block ]; then
      printf '%s\n' "$line" >> "$scratch/got"
    else
      printf '%s\n' "$line" >> "$scratch/page"
    fi
  done < "$page"
  if [ "$state" != text ]; then
    echo "${page#"$root"/}: a code block has no end"
    exit 1
  fi
  [ "$update" -eq 0 ] || cmp -s "$scratch/page" "$page" || cp "$scratch/page" "$page"
done < <(find "$root" \( -name .git -o -name build -o -name 'build-*' -o -name .venv \) -prune -o -name '*.md' -print0)

if [ "$blocks" -eq 0 ]; then
  echo "no page under $root quotes a file: is this the repository?"
  exit 1
fi
echo "$blocks quoted blocks, $wrong wrong"
[ "$wrong" -eq 0 ]
