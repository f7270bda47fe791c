/* SPDX-License-Identifier: GPL-2.0-only */
/* What is lent, of whatever kind. All calls hold carveout_lock. */
#ifndef CARVEOUT_LENDS_H
#define CARVEOUT_LENDS_H

#include <linux/list.h>
#include <linux/types.h>

#include "carveout_uapi.h"
#include "extents.h"

struct lend;

/* What differs from kind to kind; each kind's file has its own. */
struct lend_ops {
	enum carveout_kind kind;
	/*
	 * Frees those frames of a lend, which is off the list, that lend_own_frames() has. NULL:
	 * they come back by themselves. When it fails, none was freed.
	 */
	int (*give_back)(struct lend *lend);
	/* Ends the process that holds the frames too, and waits until it has let go of them. */
	int (*end_holder)(struct lend *lend);
	/* Where a frame is mapped. NULL: in the linear map, like all memory that Linux has. */
	void *(*address)(const struct lend *lend, unsigned long pfn);
	/*
	 * Of frames that Linux may take back at any moment, how many it has; so there is no hold
	 * on them either. NULL: it may not.
	 */
	unsigned long (*bad_pages)(const struct extents *extents);
	/* Frames are single pages of the module's own, which it frees one by one. */
	bool frees_pages;
};

struct lend {
	struct list_head node;
	const struct lend_ops *ops;
	struct extents extents;		/* sorted */
	struct extents lost;		/* of them, sorted: freed behind the module's back */
	void *cookie;			/* for ops alone, like all below */
	dma_addr_t dma;
};

extern struct list_head lends;
extern struct extents lent;		/* of all lends, sorted, each frame once */
extern struct extents lent_and_held;	/* of those that the module has a hold on, likewise */
extern unsigned long lent_more_than_once;	/* frames in more than one lend */
extern struct extents last_given_back;	/* sorted and merged */

struct lend *lend_new(const struct lend_ops *ops);
int lend_add(struct lend *lend);
void lend_free(struct lend *lend);
bool lend_is_held(const struct lend *lend);
bool lend_is_revocable(const struct lend *lend);
int lend_own_frames(const struct lend *lend, struct extents *own);
int lends_reindex(void);
int lends_give_back(struct carveout_give_back *given);
void lends_give_back_all(void);

#endif
