#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds, checks and times what runs on a GPU, on a machine that has the CUDA Toolkit and a g++; from any folder:
#   sh benchmarks/gpu_check.sh [OUTPUT_FOLDER]
# Tests need Catch2's headers (Debian, Ubuntu: catch2), those of models against PyTorch's numbers also nlohmann's JSON
# (nlohmann-json3-dev); they are left out with a word where these are missing.
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
    units="compile op_table models"
    if ! echo "#include <nlohmann/json.hpp>" | g++ -std=c++20 -fsyntax-only -xc++ - 2> "$out/json.found"; then
      say "no header of nlohmann's JSON: the tests of models in float are left out"
      units="compile op_table"
    fi
    rm -f "$out"/*.o
    for unit in $units; do
      nvcc $flags -c tests/kernels/cuda/$unit.cu -o "$out/$unit.o" > "$out/$unit.build" 2>&1 &
      tests="$tests $!"
    done
    # The CPU's ops, with which the GPU's are compared.
    for unit in $(ls tests/ops/*_table_test.cpp | grep -v op_table_test) tests/ops/parity.cpp; do
      name=$(basename $unit .cpp)
      g++ -std=c++20 -O2 -fopenmp -Iinclude -Itests -c $unit -o "$out/$name.o" > "$out/$name.build" 2>&1 &
      tests="$tests $!"
    done
    break
  fi
done

compiled=0
for test in $tests; do wait $test || compiled=1; done
if [ -z "$tests" ]; then
  say "no Catch2 headers: the tests are left out"
elif [ $compiled -eq 0 ] && nvcc -arch=native "$out"/*.o $main -lcublasLt -lgomp -o "$out/tests" > "$out/tests.build" 2>&1; then
  "$out/tests" > "$out/tests.log" 2>&1
  code=$?
  tail -n 4 "$out/tests.log"
  [ $code -eq 0 ] || { say "the tests end with $code; all of it is in $out/tests.log"; failed=1; }
else
  say "the tests do not compile; see $out/*.build"; failed=1
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
