#!/usr/bin/env bash
# Usage: vocabulary.sh ROOT. One word for one idea, and no text about the machine that it was written on. Prints a line
# a fault; exit status 1 if there is one.
set -eu
cd "$1"
faults=$(mktemp)
trap 'rm -f "$faults"' EXIT
# The files under version control, else (an archive of the sources) those in the source folders.
files=$(git ls-files -co --exclude-standard 2>/dev/null || find . -type f -not -path './build/*')
files=$(for f in $files; do case $f in tests/guards/*) ;; *) [ -f "$f" ] && echo "$f" ;; esac; done)
sources=$(grep -E '^(\./)?(include|examples|cmake|benchmarks)/.*\.(hpp|cuh|cpp|cu)$' <<<"$files" || true)

# say WORDS INSTEAD: these words in an identifier or a file name are another spelling of INSTEAD.
say() {
  { grep -noiwE "$1" $sources /dev/null; grep -iE "(^|/|_)($1)(_|\.|/|$)" <<<"$sources"; } | sed "s|\$|: say $2|" >>"$faults" || true
}
say 'n_(heads|kv_heads|layers|experts|groups|tokens|ranks)' 'num_...'
say 'process_?groups?|pgroups?' 'Communicator'
say 'zero_?[123]|model_?parallel' 'fsdp, tp, pp'
say 'topology|rank_?grid' 'Mesh'
say 'remat|rematerialize' 'activation checkpoint, recompute'
say 'snapshot' 'checkpoint'
say 'permuter' 'token dispatcher'
say 'batched_?gemm' 'grouped_gemm'
say 'golden' 'reference'
say 'mbs|micro_?bs' 'local_batch_size'
say 'headdim|nheads|nlayers' 'head_dim, num_heads, num_layers'
sources=$(grep -v '^include/ashlar/device/cuda/ptx/' <<<"$sources" || true)  # the names of instructions are not ours
say 'ctas?|ncta' 'block'

# Text about somebody's machine.
grep -nIE '(^|[^A-Za-z0-9_./$}-])/(work|home|root|Users)/' $files /dev/null | sed 's/$/   <- a local path/' >>"$faults" || true
grep -nIE '\.\./shared|\b(TODO|FIXME|XXX)\b' $files /dev/null | sed 's/$/   <- unfinished or private/' >>"$faults" || true

cat "$faults"
[ ! -s "$faults" ]
