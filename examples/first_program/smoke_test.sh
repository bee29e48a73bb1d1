# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM
here=$(dirname "$0")

# The main README shows this program.
tail -n +2 "$here/main.cpp" > expected
sed -n '/^```cpp$/,/^```$/p' "$here/../../README.md" | sed '1d;$d' | diff expected - || exit 1

# It trains on a small text: two seconds later it is still at it, or done.
i=0; while [ $i -lt 50 ]; do echo "line $i of a text that a small model reads"; i=$((i + 1)); done > text
timeout 2 "$1" text
code=$?
[ $code = 124 ] || [ $code = 0 ]
