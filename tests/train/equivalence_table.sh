#!/usr/bin/env bash
# Usage: equivalence_table.sh [--check] TEST_PROGRAM. Runs the equivalence tests and writes docs/equivalence.md from what
# they measured. --check writes nothing: it fails where the page does not name exactly the layouts that were compared
# (differences are of the order of rounding, and another machine rounds otherwise).
set -u
checks=no
[ "${1:-}" = --check ] && { checks=yes; shift; }
program=$(realpath "${1:?the program test_train}")
page=$(cd "$(dirname "$0")/../.." && pwd)/docs/equivalence.md
table=$(mktemp)
trap 'rm -f "$table"' EXIT
ASHLAR_EQUIVALENCE_TABLE=$table "$program" --filenames-as-tags "[#equivalence_dense],[#equivalence_moe],[#equivalence_kinds]" || exit 1

if [ $checks = yes ]; then
  layouts() { grep '^|' "$1" | grep -v '^| \(model\|---\) ' | cut -d '|' -f 2-3 | sort; }
  diff <(layouts "$page") <(layouts "$table") && echo "docs/equivalence.md names all $(wc -l <"$table") layouts" && exit
  echo "docs/equivalence.md is not current: run tests/train/equivalence_table.sh $1"
  exit 1
fi
{
  cat <<'TEXT'
# Layouts are equivalent

A layout (which axes, of what degree, which pipeline schedule, how many rows at once, what is recomputed) decides where
work is done, not what comes out. So the same global batches must give the same losses and the same parameters on any
layout, up to the order in which numbers are added. In double precision that order hardly matters, and a gradient that
is scaled, reduced or masked wrongly shows at once.

Each line compares five steps (four of the families), on ranks as threads, with the same steps on one rank. *Loss* is the largest relative
difference of a step's loss; *parameters* the largest, over all tensors, of the norm of the difference over the norm.
The tests refuse anything above 1e-10. Document ends fall at random places, and rows at once are half of a rank's rows
where there are enough, so gradient accumulation takes part.

The table is written by the tests themselves
([equivalence_dense.cpp](../tests/train/equivalence_dense.cpp),
[equivalence_moe.cpp](../tests/train/equivalence_moe.cpp),
[equivalence_kinds.cpp](../tests/train/equivalence_kinds.cpp)):

    tests/train/equivalence_table.sh build/test/tests/test_train

| model | layout | loss | parameters |
| --- | --- | --- | --- |
TEXT
  cat "$table"
} >"$page"
echo "$page: $(wc -l <"$table") layouts"
