// SPDX-License-Identifier: MIT
// The test program's main(), for installations of Catch2 2 that bring no compiled one.
#define CATCH_CONFIG_MAIN
#include "catch.hpp"
