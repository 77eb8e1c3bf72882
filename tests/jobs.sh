#!/usr/bin/env bash
# Prints how many compilers may run at a time: one a core, and one for each 2 GiB of memory.
awk -v cores="$(nproc)" '/MemAvailable/ {
  jobs = int($2 / 1024 / 1024 / 2); if (jobs > cores) jobs = cores; print jobs < 1 ? 1 : jobs }' /proc/meminfo
