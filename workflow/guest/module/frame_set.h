/* SPDX-License-Identifier: GPL-2.0-only */
/* Sets of frames, one bit each. They keep their memory: filling one again allocates nothing. */
#ifndef CARVEOUT_FRAME_SET_H
#define CARVEOUT_FRAME_SET_H

#include <linux/types.h>

struct frame_set {
	unsigned long *bits;
	unsigned long first_pfn;
	unsigned long frames;		/* that it can hold, from the first on */
};

int frame_set_clear(struct frame_set *set);
bool frame_set_add(struct frame_set *set, unsigned long pfn);
bool frame_set_has(const struct frame_set *set, unsigned long pfn);
unsigned long frame_set_count(const struct frame_set *set, unsigned long pfn, unsigned long pages);
unsigned long frame_set_count_gone(const struct frame_set *was, const struct frame_set *is);
void frame_set_free(struct frame_set *set);

#endif
