#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds, checks and times what runs on a GPU, on a machine that has the CUDA Toolkit and a g++; from any folder:
#   sh benchmarks/gpu_check.sh [OUTPUT_FOLDER [ARCHITECTURE]]
# Ends with 0 where everything passed, 1 where something failed and 77 where there is no GPU: at once, or with an
# architecture (sm_90, say) after everything was compiled for it.
# Tests need Catch2's headers (Debian, Ubuntu: catch2), those of models against PyTorch's numbers also nlohmann's JSON
# (nlohmann-json3-dev); they are left out with a word where these are missing. CPATH may name a folder that has them.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/gpu_check}
mkdir -p "$out" && out=$(cd "$out" && pwd) && cd "$root" || exit 1
(cd "$out" && rm -f ./*.o ./*.build ./*.log ./*.code gpu nanogpt_recipe tests)
PATH=$PATH:/usr/local/cuda/bin
export out PATH
start=$(date +%s)
failed=0
left_out=""
say() { echo "gpu_check: $(($(date +%s) - start)) s: $*"; }
fail() { say "FAILED: $*"; failed=1; }
leave_out() { say "left out: $1: $2"; left_out="$left_out; left out: $1"; }

# ---- the GPU ---------------------------------------------------------------------------------------------------------
if ! command -v nvcc > "$out/nvcc.log"; then
  fail "no nvcc: install the CUDA Toolkit, or put its folder bin in PATH"
  exit 1
fi
# Where the loader does not know the toolkit's libraries: not by LD_LIBRARY_PATH, which would hide PyTorch's own.
toolkit=$(dirname "$(dirname "$(readlink -f "$(command -v nvcc)")")")
cublas="-lcublasLt -Xlinker -rpath=$toolkit/lib64"
cat > "$out/device.cu" << 'END'
#include <cublasLt.h>
#include <cstdio>
int main() {
  cudaDeviceProp device;
  const cudaError_t error = cudaGetDeviceProperties(&device, 0);
  if (error != cudaSuccess) {
    std::puts(cudaGetErrorString(error));
    return 77;
  }
  std::printf("sm_%d%d %s, CUDA %d, cuBLASLt %zu\n", device.major, device.minor, device.name, CUDART_VERSION,
              cublasLtGetVersion());
}
END
if ! nvcc -std=c++20 "$out/device.cu" $cublas -o "$out/device" > "$out/device.build" 2>&1; then
  cat "$out/device.build"
  fail "nvcc does not compile a small program"
  exit 1
fi
device=$("$out/device")
expected=$? # the exit status of every program here
if [ $expected -eq 0 ]; then
  architecture=${2:-${device%% *}}
  say "$device"
elif [ $expected -eq 77 ]; then
  say "no GPU that CUDA can use: $device"
  [ $# -ge 2 ] || { say "to compile everything all the same, give an architecture as the second argument"; exit 77; }
  architecture=$2
else
  fail "a small program ends with $expected: $device"
  exit 1
fi

# ---- compiling, as many units at once as there are processors, nvcc's first -----------------------------------------
has_header() { echo "#include <$1>" | g++ -std=c++20 -fsyntax-only -xc++ - 2> "$out/header.log"; }
programs="benchmarks/gpu.cu benchmarks/nanogpt_recipe.cu"
tests="tests/kernels/cuda/op_table.cu tests/kernels/cuda/models.cu tests/kernels/cuda/compile.cu"
# The CPU's ops, with which the GPU's are compared.
for table in tests/ops/parity.cpp tests/ops/*_table_test.cpp; do
  [ "$table" = tests/ops/op_table_test.cpp ] || tests="$tests $table"
done
libraries=""
if has_header catch2/catch_all.hpp; then
  libraries="-lCatch2Main -lCatch2"
elif has_header catch2/catch.hpp; then
  tests="$tests tests/catch_main.cpp"
else
  leave_out "all tests" "no headers of Catch2"
  tests=""
fi
if [ -n "$tests" ] && ! has_header nlohmann/json.hpp; then
  leave_out "tests of models in float" "no header of nlohmann's JSON"
  tests=$(echo "$tests" | sed 's|tests/kernels/cuda/models.cu ||')
fi
say "compiling for $architecture, $(nproc) at once"
nvcc="nvcc -std=c++20 -O3 -arch=$architecture --expt-relaxed-constexpr -diag-suppress=20012 -Xcompiler -fopenmp"
nvcc="$nvcc -lineinfo" # for compute-sanitizer to name lines
includes="-Iinclude -Itests -Ibenchmarks"
name_of() { basename "${1%.*}"; }
for unit in $tests $programs; do
  case $unit in *.cu) command=$nvcc ;; *) command="g++ -std=c++20 -O2 -fopenmp" ;; esac
  echo "$(name_of "$unit") $command $includes -c $unit"
done | sort -s -k2,2r |
  xargs -P "$(nproc)" -L 1 sh -c 'name=$1; shift; "$@" -o "$out/$name.o" > "$out/$name.build" 2>&1' sh

# build PROGRAM LIBRARIES UNIT...: of the units that compile; of the others, and where it fails, a message
build() {
  program=$1 with=$2
  shift 2
  objects=""
  for unit in "$@"; do
    name=$(name_of "$unit")
    if [ -f "$out/$name.o" ]; then
      objects="$objects $name.o"
    else
      fail "$unit does not compile: $out/$name.build"
      head -n 8 "$out/$name.build"
    fi
  done
  [ -n "$objects" ] || return 1
  (cd "$out" && nvcc -arch="$architecture" $objects $with $cublas -lgomp -o "$program") \
    > "$out/$program.build" 2>&1 &&
    return 0
  fail "$program cannot be linked: $out/$program.build"
  head -n 8 "$out/$program.build"
  return 1
}

# run NAME SECONDS COMMAND...: what it prints goes to NAME.log
run() {
  name=$1 seconds=$2
  shift 2
  timeout "$seconds" "$@" > "$out/$name.log" 2>&1
  code=$?
  [ $code -eq $expected ] && return 0
  [ $code -eq 124 ] && code="124, stopped after $seconds s"
  fail "$name ends with $code: $out/$name.log"
  return 1
}

# ---- running ---------------------------------------------------------------------------------------------------------
if [ -n "$tests" ] && build tests "$libraries" $tests; then
  say "the tests"
  run tests 240 "$out/tests" && lines=4 || lines=60
  tail -n $lines "$out/tests.log"
fi
if build gpu "" benchmarks/gpu.cu; then
  say "the benchmark"
  run gpu 180 "$out/gpu"
  cat "$out/gpu.log"
fi
if build nanogpt_recipe "" benchmarks/nanogpt_recipe.cu; then
  say "the first steps of nanoGPT's recipe, on a text that is at hand"
  run nanogpt_recipe 60 "$out/nanogpt_recipe" --data benchmarks/README.md --steps 100
  cat "$out/nanogpt_recipe.log"
fi
# PyTorch's rows, where the python3 of this machine has one that sees the GPU.
if python3 -c "import sys, torch; sys.exit(not torch.cuda.is_available())" > "$out/torch.log" 2>&1; then
  say "PyTorch's rows"
  run pytorch 180 python3 benchmarks/pytorch_gpu_peers.py
  cat "$out/pytorch.log"
else
  leave_out "PyTorch's rows" "no PyTorch that sees a GPU"
fi

# ---- compute-sanitizer's tools, all at once, over the kernels' own tests: the ops' problems and models would take hours
sanitize() {
  failed=0
  options="--tool $1 --error-exitcode 99"
  # The library checks all that it calls, and tests make calls fail on purpose.
  [ "$1" = memcheck ] && options="$options --report-api-errors no"
  run "$1" 150 compute-sanitizer $options "$out/tests" "cuda *" || grep -m 30 "^=========" "$out/$1.log"
  grep -q "All tests passed" "$out/$1.log" || fail "$1 is not over all tests: see $out/$1.log"
  say "$1: $(tail -n 1 "$out/$1.log")"
  return $failed
}
if [ $expected -ne 0 ] || [ ! -f "$out/tests" ] || ! command -v compute-sanitizer > "$out/sanitizer.log"; then
  leave_out "compute-sanitizer" "it needs a GPU, the tests and its program"
else
  say "compute-sanitizer"
  running=""
  for tool in memcheck racecheck initcheck synccheck; do
    sanitize $tool &
    running="$running $!"
  done
  for tool in $running; do wait "$tool" || failed=1; done
fi

if [ $failed -ne 0 ]; then
  say "something FAILED, see above$left_out"
  exit 1
elif [ $expected -eq 0 ]; then
  say "everything passed$left_out"
else
  say "everything compiles for $architecture; no GPU: nothing ran$left_out"
fi
exit $expected
