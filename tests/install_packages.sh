#!/usr/bin/env bash
# Usage: install_packages.sh [quickstart|test]. Installs what is missing of the packages that the examples (quickstart)
# or also the tests (the default) need, on Debian or Ubuntu. Does nothing when all are there.
set -eu

packages=(g++ cmake ninja-build libeigen3-dev nlohmann-json3-dev libfmt-dev libdnnl-dev libpcre2-dev libutf8proc-dev)
case ${1:-test} in
  quickstart) packages+=(fortunes) ;;
  test) packages+=(catch2 libboost-context-dev libopenmpi-dev openmpi-bin git) ;;
  *) echo "usage: $0 [quickstart|test]" >&2; exit 1 ;;
esac

# A program or a header counts, wherever it came from.
there() {
  local header
  case $1 in
    g++ | cmake | git) command -v "$1" >/dev/null ;;
    ninja-build) command -v ninja >/dev/null ;;
    openmpi-bin) command -v mpirun >/dev/null ;;
    fortunes) [ -f /usr/share/games/fortunes/computers ] ;;
    *)
      case $1 in
        libeigen3-dev) header=eigen3/Eigen/Core ;;
        nlohmann-json3-dev) header=nlohmann/json.hpp ;;
        libfmt-dev) header=fmt/core.h ;;
        libdnnl-dev) header=dnnl.h ;;
        libpcre2-dev) header=pcre2.h ;;
        libutf8proc-dev) header=utf8proc.h ;;
        catch2) header=catch2 ;;
        libboost-context-dev) header=boost/context/detail/fcontext.hpp ;;
        libopenmpi-dev) dpkg -s libopenmpi-dev >/dev/null 2>&1; return ;;
      esac
      [ -e "/usr/include/$header" ] || [ -e "/usr/local/include/$header" ] || [ -e "/usr/local/include/${header#eigen3/}" ]
      ;;
  esac
}
missing=()
for package in "${packages[@]}"; do
  there "$package" || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command="apt-get install -y --no-install-recommends ${missing[*]}"
if ! command -v apt-get >/dev/null; then
  echo "These packages are missing, and there is no apt-get to install them with: ${missing[*]} (Debian's names)" >&2
  exit 1
fi
as_root=()
if [ "$(id -u)" != 0 ]; then
  if ! sudo -n true 2>/dev/null; then
    echo "Packages are missing; install them with: sudo $command" >&2
    exit 1
  fi
  as_root=(sudo)
fi
echo "Installing ${missing[*]}"
# Old lists name versions that the servers no longer have. Without a network the next command says so.
"${as_root[@]}" apt-get -q update >/dev/null || true
for package in "${missing[@]}"; do
  if ! apt-cache show "$package" >/dev/null 2>&1; then
    echo "This system's package lists have no $package; install it by other means, then run this again." >&2
    exit 1
  fi
done
if ! output=$("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive $command 2>&1); then
  printf '%s\nFailed: %s\n' "$output" "$command" >&2
  exit 1
fi
for package in "${missing[@]}"; do
  there "$package" || { echo "$package is installed, but what it should bring is not found" >&2; exit 1; }
done
