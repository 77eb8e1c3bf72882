#!/usr/bin/env bash
# Usage: mpi_failures.sh PROGRAM MPIRUN [ARGUMENT...], as in mpi_failures.sh ./mpi_failures mpirun --oversubscribe
# Runs every case of mpi_failures.cpp on four ranks. Each must end by itself, not with status 0, and say why.
set -u
program=$1
shift
failed=0

# expect CASE TEXT: the case ends and some rank says TEXT (a basic regular expression).
expect() {
  local output status
  output=$(timeout 60 "${launcher[@]}" -n 4 "$program" "$1" 2>&1)
  status=$?
  if [ $status -eq 0 ] || [ $status -eq 124 ]; then
    echo "FAILED: $1 ended with status $status (124: it hung)"
  elif ! grep -q -- "$2" <<<"$output"; then
    printf 'FAILED: %s does not say "%s" but:\n%s\n' "$1" "$2" "$output"
  else
    echo "passed: $1"
    return
  fi
  failed=1
}

launcher=("$@")
at='rank [023], step 12, group'
expect throw 'error: the disk is full'
expect throw_with_request_pending 'error: the disk is full'
expect abort ''
expect exit ''
expect kill ''
expect hang "$at world, all_reduce (sum) of 1000 F32: timed out after 300 ms: rank 1 did not answer"
expect hang_before_message "$at world, receive of 1 F32 from rank 1 on channel 4: timed out after 300 ms: rank 1 did not"
expect hang_before_group "$at tp, group: timed out after 300 ms: rank 1 did not arrive"
expect failed_before "$at world, all_reduce (sum) of 1000 F32: the rank has failed before: barrier of group world"
expect short_message "$at world, receive of 4 F32 from rank 1 on channel 3: the message of rank 1 has 2 elements, not 4"
expect short_part "the message of rank 1 has 1 elements, not 2"
exit $failed
