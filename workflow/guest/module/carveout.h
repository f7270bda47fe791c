/* SPDX-License-Identifier: GPL-2.0-only */
/* What the module's files share. Frames are counted in base pages (pfn, pages). */
#ifndef CARVEOUT_H
#define CARVEOUT_H

#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "carveout_uapi.h"

/* No request looks through more than this, however much nothing there is. */
#define MOST_PAGES PHYS_PFN(1024ULL * SZ_1G)

/* extents.c: lists of runs of frames */

struct extent {
	unsigned long pfn;
	unsigned long pages;
};

struct extents {
	struct extent *list;
	unsigned long count;
	unsigned long capacity;
};

int extents_append(struct extents *extents, unsigned long pfn, unsigned long pages);
int extents_append_all(struct extents *extents, const struct extents *other);
int extents_append_without(struct extents *extents, const struct extent *run,
			   const struct extents *sorted);
void extents_sort_and_merge(struct extents *extents);
bool extents_overlap_themselves(const struct extents *sorted);
unsigned long extents_pages(const struct extents *extents);
unsigned long extents_pages_within(const struct extents *sorted, unsigned long pfn,
				   unsigned long pages);
void extents_free(struct extents *extents);
int extents_from_user(struct extents *extents, const struct carveout_ranges *ranges);
int extent_from_user(struct extent *extent, u64 start, u64 bytes);

/* frames.c: what a frame is used for */

enum frame_state {
	FRAME_ABSENT,		/* no memmap, or not online */
	FRAME_OFFLINE,		/* PageOffline: a driver took it out of Linux's hands */
	FRAME_FREE,		/* in the buddy allocator or on a per-CPU list */
	FRAME_RESERVED,
	FRAME_MOVABLE,
	FRAME_SLAB,
	FRAME_PAGE_TABLE,
	FRAME_HUGETLB,
	FRAME_PINNED,		/* of a movable kind, but a device holds it */
	FRAME_KERNEL,		/* any other use that cannot move */
	FRAME_STATES
};

struct frame_run {
	enum frame_state state;
	unsigned long pages;
	struct page *page;	/* NULL when absent */
};

struct frame_run frame_run_read(unsigned long pfn, unsigned long end);
struct frame_run frame_stretch_read(unsigned long pfn, unsigned long end);
bool frame_run_can_move(const struct frame_run *run);
bool frame_is_present(const struct frame_run *run, unsigned long pfn);
int free_block_order(unsigned long pfn);
int pageblock_migratetype(unsigned long pfn);
void pageblock_set_migratetype(unsigned long pfn, int migratetype);
unsigned long first_ram_pfn(void);
unsigned long end_ram_pfn(void);
unsigned long next_memmap_section(unsigned long section);

extern struct mutex carveout_lock;

/* lends.c: what is lent, of whatever kind. All calls hold carveout_lock. */

struct lend;

/* What differs from kind to kind; each kind's file has its own. */
struct lend_ops {
	enum carveout_kind kind;
	/* Frees the frames, of a lend that is off the list. NULL: they come back by themselves. */
	void (*give_back)(struct lend *lend);
	/* Where a frame is mapped. NULL: in the linear map, like all memory that Linux has. */
	void *(*address)(const struct lend *lend, unsigned long pfn);
};

struct lend {
	struct list_head node;
	const struct lend_ops *ops;
	struct extents extents;		/* sorted */
	pid_t holder;			/* the process that holds the frames too, or 0 */
	void *cookie;			/* for ops alone, like all below */
	dma_addr_t dma;
};

extern struct list_head lends;
extern struct extents lent;		/* of all lends, sorted and merged */
extern struct extents last_given_back;	/* sorted and merged */

struct lend *lend_new(const struct lend_ops *ops);
int lend_add(struct lend *lend);
void lend_free(struct lend *lend);
bool lend_is_held(const struct lend *lend);
int lends_reindex(void);
int lends_give_back(struct carveout_give_back *given);
void lends_give_back_all(void);

/* One file each */

int census_take(struct carveout_census *census);
int memmap_measure(u64 *bytes, u64 *lent_bytes);
void memmap_exit(void);
int blocker_find(struct carveout_blocker *blocker);

int contig_check(u64 bytes, u64 align_bytes, u64 step_bytes);
int contig_lend(struct carveout_contig *request);
int contig_allocate(unsigned long pfn, unsigned long pages);
int contig_allocate_anywhere(unsigned long pfn, unsigned long pages);
int cma_lend(struct carveout_range *range);
void cma_exit(void);
int carve_out_lend(const struct carveout_range *range);
int mapping_lend(const struct carveout_mapping *mapping);
int absent_take_baseline(struct carveout_absent *absent);
int absent_lend(struct carveout_absent *absent);
int absent_forget(u64 *bytes);
void absent_exit(void);

int pattern_write(const struct carveout_pattern *pattern);
int pattern_check(struct carveout_pattern *pattern);
int pattern_poke(u64 index);
u64 seeded(u64 seed, u64 index);

int reuse_probe(struct carveout_reuse *reuse);
int unmovable_place(struct carveout_unmovable *request);
void unmovable_exit(void);

/* pause.c */
int pause_machine(void);

#endif
