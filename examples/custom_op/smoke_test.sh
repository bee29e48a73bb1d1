# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM
"$1" > out || exit 1
grep -q "gradcheck of unit_rows: passed" out && grep -q "step 60 .* 25[0-9] of 256 right" out && exit 0
cat out
exit 1
