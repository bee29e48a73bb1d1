// SPDX-License-Identifier: MIT
// The op table on a GPU, for nvcc: the same entries and checks as on the CPU, and the same numbers.
#define PLINTH_TESTS_ON_CUDA
#include "ops/activation_table_test.cpp"
#include "ops/arithmetic_table_test.cpp"
#include "ops/attention_table_test.cpp"
#include "ops/elementary_table_test.cpp"
#include "ops/gated_table_test.cpp"
#include "ops/layers_table_test.cpp"
#include "ops/matmul_table_test.cpp"
#include "ops/op_table_test.cpp"
#include "ops/position_table_test.cpp"
#include "ops/reduction_table_test.cpp"
#include "ops/rows_table_test.cpp"
#include "ops/shape_table_test.cpp"
#include "ops/softmax_table_test.cpp"
#include "parity_test.cpp"
