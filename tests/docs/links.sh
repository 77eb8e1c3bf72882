#!/usr/bin/env bash
# Every relative link of every page points to a file or folder that exists, and every #heading to a heading; a code span
# that is a source's path names one that exists, from the root, from include/, include/ashlar/ or the page. Pages of
# docs/adding/ name files that their readers write.
# Usage: links.sh [ROOT]. Prints the dead links and fails where there are any.
set -u
root=$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")/../..}" && pwd) || exit 2
dead=0 links=0

# The anchors of a page's headings, as web front ends make them.
anchors() {
  sed '/^```/,/^```/d' "$1" | sed -nE 's/^#+ +//p' | tr '[:upper:]' '[:lower:]' | sed -E 's/[^a-z0-9 _-]//g; s/ /-/g'
}

while IFS= read -r -d '' page; do
  folder=$(dirname "$page")
  # Code blocks and code spans have no links in them.
  while IFS= read -r target; do
    case $target in
      '' | *://* | mailto:*) continue ;;
    esac
    links=$((links + 1))
    path=${target%%#*}
    file=$folder/$path
    [ -n "$path" ] || file=$page
    if [ ! -e "$file" ]; then
      echo "${page#"$root"/}: $target: there is no such file"
      dead=$((dead + 1))
    elif [ "$path" != "$target" ] && ! anchors "$file" | grep -qxF -- "${target#*#}"; then
      echo "${page#"$root"/}: $target: there is no such heading"
      dead=$((dead + 1))
    fi
  done < <(sed '/^```/,/^```/d; s/`[^`]*`//g' "$page" | grep -oE '\]\([^) ]*\)' | sed -E 's/^\]\(//; s/\)$//')
  case $page in */docs/adding/*) continue ;; esac
  while IFS= read -r path; do
    [ -e "$root/$path" ] || [ -e "$root/include/ashlar/$path" ] || [ -e "$root/include/$path" ] ||
      [ -e "$folder/$path" ] || {
      echo "${page#"$root"/}: \`$path\`: there is no such file"
      dead=$((dead + 1))
    }
  done < <(sed '/^```/,/^```/d' "$page" | grep -oE '`[A-Za-z0-9_.-]+/[A-Za-z0-9_./-]+\.(hpp|ipp|cuh|cpp|sh)`' | tr -d '`')
done < <(find "$root" \( -name .git -o -name build -o -name 'build-*' -o -name .venv \) -prune -o -name '*.md' -print0)

if [ "$links" -eq 0 ]; then
  echo "no page under $root has a link: is this the repository?"
  exit 1
fi
echo "$links relative links, $dead dead"
[ "$dead" -eq 0 ]
