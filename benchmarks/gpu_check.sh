#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds, checks and times what runs on a GPU, on a machine that has the CUDA Toolkit and a g++; from any folder:
#   sh benchmarks/gpu_check.sh [OUTPUT_FOLDER]
# Tests need Catch2's headers (Debian, Ubuntu: catch2), and are left out with a word where they are missing.
set -u
root=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-$root/build/gpu_check}
mkdir -p "$out" && out=$(cd "$out" && pwd) && cd "$root" || exit 1
flags="-std=c++20 -O3 --expt-relaxed-constexpr -diag-suppress=20012 -arch=native -Xcompiler -fopenmp -Iinclude -Itests -Ibenchmarks"
failed=0
say() { echo "gpu_check: $*"; }

# All at once: nvcc takes a minute or two for each.
nvcc $flags benchmarks/gpu.cu -lcublasLt -o "$out/gpu" > "$out/gpu.build" 2>&1 &
benchmark=$!
tests=""
for version in catch2/catch_all.hpp catch2/catch.hpp; do
  if echo "#include <$version>" | g++ -std=c++20 -fsyntax-only -xc++ - 2> "$out/catch2.found"; then
    case $version in *_all*) main="-lCatch2Main -lCatch2" ;; *) main="-std=c++20 -Itests tests/catch_main.cpp" ;; esac
    nvcc $flags -c tests/kernels/cuda/compile.cu -o "$out/tests.o" > "$out/tests.build" 2>&1 &
    tests=$!
    nvcc $flags -c tests/kernels/cuda/op_table.cu -o "$out/op_table.o" > "$out/op_table.build" 2>&1 &
    op_table=$!
    break
  fi
done

if [ -z "$tests" ]; then
  say "no Catch2 headers: the tests are left out"
elif wait $tests && wait $op_table && nvcc -arch=native "$out/tests.o" "$out/op_table.o" $main -lcublasLt -lgomp -o "$out/tests" >> "$out/tests.build" 2>&1; then
  "$out/tests" > "$out/tests.log" 2>&1
  code=$?
  tail -n 4 "$out/tests.log"
  [ $code -eq 0 ] || { say "the tests end with $code; all of it is in $out/tests.log"; failed=1; }
else
  say "the tests do not compile; see $out/tests.build and op_table.build"; failed=1
fi

if wait $benchmark; then
  "$out/gpu" > "$out/gpu.md" || { say "the benchmark ends with $?"; failed=1; }
  cat "$out/gpu.md"
  # PyTorch beside it, where the python3 of this machine has one that sees the GPU.
  if python3 -c "import sys, torch; sys.exit(not torch.cuda.is_available())" 2> "$out/torch.found"; then
    python3 benchmarks/pytorch_gpu_peers.py || { say "PyTorch's rows end with $?"; failed=1; }
  else
    say "no PyTorch with a GPU: its rows are left out"
  fi
else
  say "the benchmark does not compile; see $out/gpu.build"; failed=1
fi
exit $failed
