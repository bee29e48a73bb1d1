// SPDX-License-Identifier: MIT
// The other translation unit.
#include "both.hpp"

Seen seen_by_second() { return seen(); }
