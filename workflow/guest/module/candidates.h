/* SPDX-License-Identifier: GPL-2.0-only */
/* Where a contiguous range could lie, in the order in which the policy tries it. */
#ifndef CARVEOUT_CANDIDATES_H
#define CARVEOUT_CANDIDATES_H

#include <linux/types.h>

#include "carveout_uapi.h"

/*
 * What is known about the frames of the candidates to come. Absent and reserved frames stay
 * as they are, so a frame is looked at once, however many candidates hold it.
 */
struct outlook {
	u32 area;
	unsigned long checked;	/* frames below were looked at */
	unsigned long floor;	/* no candidate that begins below can work */
	int zone;		/* node and zone of the last frame looked at */
};

struct candidate {
	unsigned long pfn;
	unsigned long used_pages;
};

struct candidates {
	const struct carveout_contig *request;
	const struct extents *taken;	/* for this request, in the order in which they were */
	struct outlook outlook;
	unsigned long pfn;		/* by address: the next to look at */
	struct candidate *sorted;	/* or all of them in another order */
	bool is_sorted;
	bool free_tried;		/* those in which nothing is in use were handed out */
	int error;			/* that ended the search before its end, or 0 */
	unsigned long count;
	unsigned long taken_from_list;
};

int candidates_begin(struct candidates *candidates, const struct carveout_contig *request,
		     const struct extents *taken);
bool candidates_next(struct candidates *candidates, unsigned long *pfn);
void candidates_end(struct candidates *candidates);

#endif
