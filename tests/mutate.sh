#!/usr/bin/env bash
# Usage: tests/mutate.sh [-j JOBS] [--random N [--seed S]] [ID...]
# Plants the faults of tests/mutations.txt, one at a time, and runs the test that must notice each: all of them, a random
# N, or those of the given ids. Prints `killed ID by TEST in N s` or `ALIVE ID`, then a closing line in which killed counts
# as passed. Status 1 if any is alive, or an entry is wrong. Works on a copy: the checkout is read once, never written.
set -u
cd "$(dirname "$0")/.." || exit

random=0 seed=$(($(date +%s) % 100000)) wanted=() jobs=$(tests/jobs.sh)
while [ $# -gt 0 ]; do
  case $1 in
    --random) random=${2:?--random takes a number} && shift 2 ;;
    --seed) seed=${2:?--seed takes a number} && shift 2 ;;
    -j) jobs=${2:?-j takes a number} && shift 2 ;;
    -*) sed -n '2s/^# //p' "$0"; exit 2 ;;
    *) wanted+=("$1") && shift ;;
  esac
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree" "$work/base" "$work/shadow" "$work/result"
git ls-files -z --cached --others --exclude-standard include tests | xargs -0 cp --parents -t "$tree" || exit 1

# ---- the list: four lines an entry, and a blank one ----

ids=()
declare -A file old new test
while IFS= read -r line || [ -n "$line" ]; do
  case $line in '#'* | '') continue ;; esac
  read -r id path extra <<<"$line"
  IFS= read -r before && IFS= read -r after && IFS= read -r kill_line
  if [ -n "$extra" ] || [ -z "${path:-}" ] || [ -n "${file[$id]:-}" ] ||
    [[ $before != '  - '* || $after != '  + '* || $kill_line != '  ! tests/'* ]]; then
    echo "tests/mutations.txt: the entry that begins with \"$line\" has not the form of the list, or its id is taken"
    exit 1
  fi
  ids+=("$id") file[$id]=$path old[$id]=${before#  - } new[$id]=${after#  + } test[$id]=${kill_line#  ! }
done <tests/mutations.txt

if [ ${#wanted[@]} -gt 0 ]; then
  for id in "${wanted[@]}"; do
    [ -n "${file[$id]:-}" ] || { echo "tests/mutations.txt has no entry $id"; exit 1; }
  done
  ids=("${wanted[@]}")
elif [ "$random" -gt 0 ]; then
  echo "seed $seed"
  # A linear congruence, so that a seed means the same on every machine.
  state=$seed
  for ((i = ${#ids[@]} - 1; i > 0; --i)); do
    state=$(((state * 1103515245 + 12345) % 2147483648))
    j=$((state / 65536 % (i + 1)))
    kept=${ids[i]} && ids[i]=${ids[j]} && ids[j]=$kept
  done
  ids=("${ids[@]:0:random}")
fi

# ---- compile and run ----

flags=(-std=c++20 -O1 -w -fopenmp)
main=("$work/main.o") catch_options=(--warn NoTests)
if echo '#include <catch2/catch_all.hpp>' | g++ -x c++ -fsyntax-only - 2>/dev/null; then  # version 3
  main=(-lCatch2Main -lCatch2) catch_options=()
fi
includes=("-I$tree/include" "-I$tree/tests" -isystem /usr/include/eigen3)

# compile SOURCE OUT [INCLUDE...]: folders given here come first: a changed file shadows the one of the tree.
compile() {
  local source=$1 out=$2 emulated=() tokenizers=()
  shift 2
  # These run kernels on the emulator.
  [[ $source =~ ^tests/(cuda|simt|docs)/ ]] && emulated=(-DASHLAR_CUDA_EMULATED=1 -lboost_context)
  [[ $source =~ ^tests/(data/tokenizers/|program/token_file) ]] &&
    tokenizers=(-DASHLAR_WITH_TOKENIZERS=1 -DPCRE2_CODE_UNIT_WIDTH=8 -lpcre2-8 -lutf8proc)
  g++ "${flags[@]}" "$@" "${includes[@]}" "$tree/$source" "${main[@]}" -pthread -lfmt -o "$out" "${emulated[@]}" \
    "${tokenizers[@]}"
}
# run PROGRAM FILTER: a test that hangs has failed.
run() {
  OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive timeout 300 "$1" ${2:+"$2"} "${catch_options[@]}" --abort
}

# changed FILE OLD NEW OUT: writes the file with its edit; fails unless OLD is there exactly once.
changed() {
  local text rest
  text=$(cat "$tree/$1" && printf x) || return 1
  rest=${text//"$2"/}
  [ $((${#text} - ${#rest})) = ${#2} ] && [ "$2" != "$3" ] || return 1
  mkdir -p "$(dirname "$4")"
  text=${text/"$2"/"$3"}
  printf %s "${text%x}" >"$4"
}

# baseline SOURCE FILTER: whether the test passes where nothing is wrong. Once a run.
baseline() {
  local name=$work/base/${1//\//_} verdict
  verdict=$name.$(printf %s "$2" | cksum | tr -dc 0-9)
  (
    flock 9
    if [ ! -e "$name" ]; then compile "$1" "$name" >"$name.log" 2>&1 || touch "$name"; fi
    [ -e "$verdict" ] || { run "$name" "$2" >"$name.log" 2>&1 && echo passed || echo failed; } >"$verdict"
    [ "$(cat "$verdict")" = passed ] || { tail -20 "$name.log"; exit 1; }
  ) 9>"$name.lock"
}

# mutate ID: prints its line.
mutate() {
  local id=$1 source filter='' must_compile=1 shadow=$work/shadow/$1 begin status log=$work/result/$1.log
  read -r source filter <<<"${test[$id]}"
  [ "$filter" = "does not compile" ] && must_compile=0 filter=''
  if [ ! -f "$tree/$source" ] || [[ ${file[$id]} != include/* ]] ||
    ! changed "${file[$id]}" "${old[$id]}" "${new[$id]}" "$shadow/${file[$id]}"; then
    echo "ERROR $id: ${file[$id]} has not the old text exactly once, or there is no $source"
  elif ! baseline "$source" "$filter" >"$log"; then
    cat "$log"
    echo "ERROR $id: $source does not pass without the edit"
  elif begin=$SECONDS && ! compile "$source" "$shadow/program" "-I$shadow/include" >"$log" 2>&1; then
    if [ $must_compile = 0 ]; then
      echo "killed $id by the compiler in $((SECONDS - begin)) s"
    else
      grep -m 5 error "$log"
      echo "ERROR $id: $source does not compile with the edit"
    fi
  else
    run "$shadow/program" "$filter" >"$log" 2>&1
    status=$?
    if [ $status = 0 ]; then
      echo "ALIVE $id: ${file[$id]}: ${old[$id]} => ${new[$id]}"
    else
      echo "killed $id by $source in $((SECONDS - begin)) s$([ $status = 124 ] && echo ', which hung')"
    fi
  fi
  rm -rf "$shadow"
}

[ ${#catch_options[@]} = 0 ] || g++ "${flags[@]}" -c "${includes[@]}" tests/main.cpp -o "$work/main.o" || exit 1
for id in "${ids[@]}"; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
  mutate "$id" >"$work/result/$id" 2>&1 && cat "$work/result/$id" &
done
wait

killed=$(cat "$work"/result/* | grep -c '^killed ')
echo "$killed passed, $((${#ids[@]} - killed)) failed, 0 skipped"
[ "$killed" = ${#ids[@]} ]
