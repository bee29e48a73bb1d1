# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM
set -u
. "$(dirname "$0")/../expect.sh"

# It trains, measures and translates what is given, to the same letters for the same seed.
expect 0 "step   20   loss " --steps 20 "3rd of March, 1998"
grep -aq "^[0-9.]* % of 1000 dates that were not in training" out || fail "nothing was measured"
grep -aq "^3rd of March, 1998  " out || fail "the date was not translated"
cp out first
expect 0 "" --steps 20 "3rd of March, 1998"
cmp -s first out || fail "two runs with one seed differ"

# Wrong usage.
expect 2 "is not a date of 1 to 48 ASCII characters" ""
expect 2 "is not a date of 1 to 48 ASCII characters" "3 März 1998"
expect 2 "is not a date of 1 to 48 ASCII characters" "on the third day of the month of March in the year 1998"
expect 2 "--steps" --steps 0
expect 2 "--seed" --seed one
expect 2 "--bogus" --bogus
expect 0 "" --help
grep -q "Example: translate_dates" out || fail "--help shows no example"
