// SPDX-License-Identifier: MIT
// The library's version: the one place CMake, pkg-config and programs read it from.
#pragma once

/// major * 10000 + minor * 100 + patch
#define PLINTH_VERSION 100
