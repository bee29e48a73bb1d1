# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM
set -u
. "$(dirname "$0")/../expect.sh"
i=0; while [ $i -lt 400 ]; do echo "line $i of a text with gaps that a small model fills"; i=$((i + 1)); done > text
echo small > small

# A few steps show all that a whole run does, and the same twice.
expect 0 "step" --steps 5 --data text
grep -q '^  always " ", the most frequent  *[0-9.]* %$' out || fail "no baseline"
grep -q "^  encoder  *[0-9.]* %$" out || fail "no accuracy of the encoder"
grep -q "^  blanks  .*_" out || fail "no line has blanks"
cp out first
expect 0 "step" --steps 5 --data text
cmp -s first out || fail "two runs differ"

# Wrong usage, and what fails while it runs.
expect 2 "--steps" --steps 0
expect 2 "--data" --data
expect 2 "--bogus" --bogus
expect 0 "" --help
grep -q "Example: train_masked_lm" out || fail "--help shows no example"
expect 1 "no_such_file: No such file" --data no_such_file
expect 1 "the text has 6 bytes, must have at least 650" --data small
