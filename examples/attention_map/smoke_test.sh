# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM
fail() { echo "$1"; cat out; exit 1; }
"$1" map.svg > out || fail "attention_map ended with $?"
grep -q "^\(99\.[5-9]\|100\.0\) % of the letters" out || fail "it has not learned to write backwards"
[ "$(grep -c "on the letter to be written" out)" -eq 8 ] || fail "not every head is described"
[ "$(grep -c "<title>.*</title></rect>" map.svg)" -eq 1024 ] || fail "map.svg has not 8 panels of 8 x 16 cells"
