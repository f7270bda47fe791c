// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own tools/testing/selftests/mm/compaction_test.c, unchanged. The test puts it and
 * what it includes into the folder selftests, out of the kernel's source package. The kernel does
 * not build it with these warnings.
 */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#include "selftests/mm/compaction_test.c"
