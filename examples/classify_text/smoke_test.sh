# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM
set -u
. "$(dirname "$0")/../expect.sh"

# A few steps show all that a whole run does, and the same twice.
expect 0 "step" --steps 5 "profits at acme rose" "debts at acme did not fall"
grep -q "^  naive Bayes, a bag of words  *[0-9.]* %   0\.[0-9]*$" out || fail "no baseline"
grep -q "^  encoder  *[0-9.]* %   0\.[0-9]*$" out || fail "no accuracy of the encoder"
[ "$(grep -c "^  \(negative\|neutral\|positive\)  *[0-9][0-9]* " out)" -eq 3 ] || fail "the confusion matrix has not three rows"
grep -q "  debts at acme did not fall$" out || fail "a sentence given was not classified"
cp out first
expect 0 "step" --steps 5 "profits at acme rose" "debts at acme did not fall"
cmp -s first out || fail "two runs differ"

# Wrong usage.
expect 2 'the word "cats" is in no sentence' "cats at acme rose"
expect 2 '"" has 0 words, must have 1 to 31' ""
expect 2 "--steps" --steps many
expect 2 "--bogus" --bogus
expect 0 "" --help
grep -q "Example: classify_text" out || fail "--help shows no example"
