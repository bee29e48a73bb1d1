# SPDX-License-Identifier: MIT
# Usage: sh smoke_test.sh PROGRAM, in a folder that may be emptied of app/, out and err.
here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "$1"; cat out err; exit 1; }

# converse PROGRAM: it answers, and goes on after each error.
converse() {
  printf 'do not count\n5 birds\n\377\n:budget 100\na rolling\n:budget 65536\na rolling\n:memory\n' | "$1" > out 2> err ||
    fail "$1 ended with $?"
  for line in "do not count your chickens before they hatch" "that did not work: .*'5' at byte 1 is not in" \
    "that did not work: .* not valid UTF-8" "that did not work: cpu memory: " "a rolling stone gathers no moss" \
    "[0-9]* KiB in use" bye; do
    grep -q "^\(> \)*$line" out || fail "$1 does not say: $line"
  done
}
converse "$1"

# The Makefile builds the same.
command -v make > /dev/null || exit 0
rm -rf app
mkdir app
cp "$here"/Makefile "$here"/*.cpp "$here"/*.hpp app
make -C app PLINTH="$here/../../include" > out 2> err || fail "make failed"
converse app/embed_in_app
