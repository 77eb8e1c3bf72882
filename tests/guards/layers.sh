#!/usr/bin/env bash
# Usage: layers.sh ROOT. Checks the include edges of ROOT/include/ashlar against the table of layers, and the other rules
# about sources that a search can check. Prints a line a fault; exit status 1 if there is one.
set -eu
cd "$1"
library=$(find include/ashlar -name '*.hpp' -o -name '*.ipp' -o -name '*.cuh' | sort)
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT

# Include edges. Folders on one layer do not include each other; an operation includes itself and the two whose parts
# others are made of; umbrella headers are for users.
grep -n '^ *# *include' $library /dev/null | awk '
  BEGIN {
    split("core:0 config:1 device:1 emulator:2 ops:2 tensor:3 comm:4 mesh:5 nn:6 data:6 moe:7 report:7 parallel:8 checkpoint:8 optim:9 models:9 train:10 program:11",
          table, " ")
    for (i in table) { split(table[i], pair, ":"); layer[pair[1]] = pair[2] }
    umbrella["ashlar/ashlar.hpp"] = umbrella["ashlar/instances.hpp"] = 1
    umbrella["ashlar/ops/all_cuda.cuh"] = umbrella["ashlar/ops/cpu_instances.hpp"] = 1
  }
  function fault(text) { print file ":" line ": " text }
  {
    split($0, part, ":"); file = part[1]; line = part[2]
    from = substr(file, length("include/") + 1)
    match($0, /["<][^">]+[">]/); target = substr($0, RSTART + 1, RLENGTH - 2)
    from_depth = split(from, from_path, "/"); target_depth = split(target, target_path, "/")

    if (target ~ /^Eigen\// && from != "ashlar/ops/matmul/eigen.hpp") fault("Eigen is for ops/matmul/eigen.hpp alone")
    if (target ~ /^CLI\// || (target ~ /^fmt\// && from !~ /\.ipp$/) || (from ~ /\.cuh$/ && target ~ /^(nlohmann|Eigen)\//))
      fault("<" target "> does not belong here")
    if (target ~ /^nlohmann\// && from !~ /^ashlar\/(config\/json|data\/tokenizers\/hugging_face|checkpoint\/(manifest|safetensors))\.ipp$/)
      fault("JSON is for config/json.ipp, data/tokenizers/hugging_face.ipp, checkpoint/manifest.ipp and checkpoint/safetensors.ipp")
    if (target ~ /^(iostream|regex)$/) fault("<" target "> is slow to include")
    if (target !~ /^ashlar\//) next
    if ((getline rest < ("include/" target)) < 0) fault(target " does not exist")
    close("include/" target)

    if (from ~ /\.[hi]pp$/ && target ~ /\.cuh$/ && from_path[2] != "emulator") fault("a .hpp is for host compilers: it includes no .cuh")
    if (target in umbrella && !(from in umbrella)) fault(target " is for users; include what is used")
    if (from in umbrella) next
    if (from_depth < 3 || !(from_path[2] in layer)) { fault("a folder without a layer; add it to tests/guards/layers.sh"); next }
    if (from_path[2] == target_path[2]) {
      if (from_path[2] == "ops" && from_path[3] != target_path[3] && target_path[3] !~ /^(elementwise|matmul)$/)
        fault("ops/" from_path[3] " includes ops/" target_path[3])
    } else if (!(target_path[2] in layer)) {
      fault(target " is in a folder without a layer")
    } else if (target_path[2] == "emulator") {
      # The other half of what it stands for: device/cuda/simt.cuh includes emulator/simt.hpp, and nobody else does.
      stem = from_path[4]; sub(/[.].*/, "", stem)
      if (from !~ /^ashlar\/device\/cuda\// || target_path[3] != stem ".hpp") fault("includes " target "; device/cuda has what it models")
    } else if (layer[from_path[2]] <= layer[target_path[2]]) {
      fault(from_path[2] "/ includes " target_path[2] "/, which is not below it")
    }
  }' >>"$faults"

# Macros: one header defines them.
grep -nE '^ *# *(define|undef) ' $library | grep -v '^include/ashlar/core/platform.hpp:' |
  sed 's/$/   <- macros belong in core\/platform.hpp/' >>"$faults" || true
for file in $library; do
  [ "$(grep -c '^#pragma once' "$file")" = 1 ] || echo "$file: needs one #pragma once" >>"$faults"
done

# Comments: the files that they name are there, as seen from include/ashlar, from ROOT, from beside or from above; who
# uses a file is not said, since it changes.
awk '
  function exists(path, line, found) {
    if (!(path in known)) { found = (getline line < path) >= 0; close(path); known[path] = found }
    return known[path]
  }
  FNR == 1 { head = ""; in_head = 1; beside = FILENAME; sub(/[^\/]*$/, "", beside); above = beside; sub(/[^\/]*\/$/, "", above) }
  in_head && !/^\/\// {
    in_head = 0
    if (tolower(head) ~ /(^|[^a-z])used by/) print FILENAME ": the head says who uses the file; drop it, say what to read next"
  }
  in_head { head = head substr($0, 3) }
  {
    if ((at = index($0, "//")) == 0) next
    rest = substr($0, at + 2)
    while (match(rest, /[A-Za-z0-9_.\/-]+\.(hpp|ipp|cuh|cpp|md|sh)/)) {
      path = substr(rest, RSTART, RLENGTH); rest = substr(rest, RSTART + RLENGTH)
      if (rest ~ /^[A-Za-z0-9_]/) continue
      if (!exists("include/ashlar/" path) && !exists("include/" path) && !exists(path) && !exists(beside path) &&
          !exists(above path) && !exists("tests/" path))
        print FILENAME ":" FNR ": " path ", which a comment names, does not exist"
    }
  }' $library $(find tests -name '*.hpp') >>"$faults"

# Sizes and names.
for file in $(find include cmake examples tests benchmarks \( -name '*.hpp' -o -name '*.ipp' -o -name '*.cuh' -o -name '*.c*' \) 2>/dev/null); do
  lines=$(wc -l <"$file")
  [ "$lines" -le 500 ] || echo "$file: $lines lines; split what is over 500" >>"$faults"
done
find include cmake examples tests benchmarks docs 2>/dev/null | grep -iE '/[^/]*(utils?|common|misc|helpers?)(\.[^/]*)?$' |
  sed 's/$/: name the concept/' >>"$faults" || true
find include -type f | grep -vE '/[a-z0-9_]+\.(hpp|ipp|cuh)$' | sed 's/$/: file names are snake_case .hpp, .ipp or .cuh/' >>"$faults" || true

cat "$faults"
[ ! -s "$faults" ]
