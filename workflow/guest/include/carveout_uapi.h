/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * What carveout.ko and the guest's tool say to each other.
 *
 * Addresses are physical and sizes are bytes, so that nothing here depends on the page size.
 * Every range is a multiple of the page size; the census asks for whole pageblocks.
 */
#ifndef CARVEOUT_UAPI_H
#define CARVEOUT_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#include "carveout_vm_uapi.h"

#define CARVEOUT_DEVICE "carveout"
#define CARVEOUT_VERSION "1"
#define CARVEOUT_MAX_RANGES 64
#define CARVEOUT_MAX_MAP_BYTES 16777216
#define CARVEOUT_MAX_ORDERS 14	/* of free blocks, with pages of any size */

struct carveout_range {
	__u64 start;
	__u64 bytes;
};

/* Ranges ascend and do not overlap. */
struct carveout_ranges {
	__u64 pointer;		/* to struct carveout_range[count] */
	__u32 count;
	__u32 reserved;		/* 0 */
};

/*
 * Where a frame stands in the books of a census: each in exactly one account, the first that fits
 * in the order of account_of() in census.c.
 */
enum carveout_account {
	CARVEOUT_FREE,			/* in ordinary zones */
	CARVEOUT_MOVABLE_ZONE_FREE,
	CARVEOUT_CMA_IDLE,		/* free in pageblocks of a CMA area, of whatever zone */
	CARVEOUT_POOL_IDLE,		/* huge pages that nobody uses, or not whole */
	CARVEOUT_MOVABLE,		/* in use and can move, in ordinary zones */
	CARVEOUT_MOVABLE_ZONE_USED,
	CARVEOUT_CMA_USED,
	CARVEOUT_RECLAIMABLE,		/* slab in pageblocks of that type */
	CARVEOUT_UNMOVABLE,
	CARVEOUT_PAGE_TABLES,
	CARVEOUT_MEMMAP_HOST,		/* memmap that takes memory from the host */
	CARVEOUT_MEMMAP_SELF,		/* memmap on the memory that it describes */
	CARVEOUT_RESERVED,		/* the kernel's image and boot allocations */
	CARVEOUT_NO_MAP,		/* has a memmap, but is not in the linear map */
	CARVEOUT_HIDDEN,		/* has no memmap */
	CARVEOUT_OFFLINE,		/* has a memmap, and is withheld from the page allocator */
	CARVEOUT_MACHINE,		/* lent, and the host has no hold on it */
	CARVEOUT_DEVICE_MEMORY,		/* ZONE_DEVICE */
	CARVEOUT_LENT,			/* lent, and the host has a hold on it */
	CARVEOUT_ACCOUNTS
};

/* What the frames say, and what the kernel has counted by other means: they must agree. */
enum carveout_check {
	CARVEOUT_CHECK_FREE,		/* in the buddy allocator */
	CARVEOUT_CHECK_FREE_CMA,	/* of those, in CMA areas */
	CARVEOUT_CHECK_WAITING,		/* on per-CPU lists */
	CARVEOUT_CHECK_PAGE_TABLES,
	CARVEOUT_CHECK_MANAGED,		/* neither reserved nor withheld */
	CARVEOUT_CHECK_LENT,
	CARVEOUT_CHECK_MEMMAP,
	CARVEOUT_CHECKS
};

struct carveout_count {
	__u64 frames;		/* by walking over the frames */
	__u64 counter;		/* by the kernel's counters, or the list of lends */
};

/* One reading of the frames in some ranges, and of the whole memmap. */
struct carveout_census {
	struct carveout_ranges ranges;
	__u64 map_pointer;	/* to char[map_bytes]: one letter a pageblock */
	__u64 map_bytes;
	__u64 page_bytes;
	__u64 pageblock_bytes;
	__u64 first_pfn;
	__u64 memmap_bytes;
	__u64 memmap_lent_bytes;
	__u64 struct_page_bytes;
	__u64 linear_map_table_pages;	/* page tables that map the RAM for the kernel */
	__u64 accounts[CARVEOUT_ACCOUNTS];	/* in frames */
	__u64 blocked_pageblocks;	/* with a frame that cannot move, and none that is lent */
	__u32 orders;			/* of free blocks */
	__u32 reserved;			/* 0 */
	struct carveout_count free_blocks[CARVEOUT_MAX_ORDERS];	/* in blocks of each order */
	struct carveout_count checks[CARVEOUT_CHECKS];
};

enum carveout_area {
	CARVEOUT_AREA_ANY,
	CARVEOUT_AREA_MOVABLE,	/* ZONE_MOVABLE */
	/* For the search for a blocker only: */
	CARVEOUT_AREA_CMA,	/* pageblocks of a CMA area */
	CARVEOUT_AREA_BLOCKS,	/* memory blocks: a memmap on the block itself goes with it */
	CARVEOUT_AREAS
};

/* What the time of an operation goes to. */
enum carveout_cost {
	CARVEOUT_COST_UNCOUNTED,	/* the measuring itself */
	CARVEOUT_COST_SEARCH,		/* for candidates */
	CARVEOUT_COST_MIGRATE,		/* isolating and migrating, compaction */
	CARVEOUT_COST_RECLAIM,		/* direct reclaim */
	CARVEOUT_COST_MAP,		/* page faults, mappings of the kernel's */
	CARVEOUT_COST_CONTENT,		/* clearing, cleaning of caches */
	CARVEOUT_COST_REST,
	CARVEOUT_COSTS
};

struct carveout_costs {
	__u64 ns[CARVEOUT_COSTS];
};

/*
 * Waits for a work item that begins from here on, and for as long as it queues itself again. Or it
 * pauses first, and waits from where the machine goes on.
 */
struct carveout_await {
	char work[64];		/* the name of its function */
	__u64 limit_ns;		/* for it to begin */
	__u64 end_limit_ns;	/* from there on, while it waits to begin again; 0: none */
	__u32 found;		/* out: 0 when none began */
	__u32 unfinished;	/* out: it comes again, and is not waited for */
	__u32 stalled;		/* out: all that it did in the end was to sleep */
	__u32 reserved;		/* 0 */
	struct carveout_costs costs;	/* out: from the instant when the machine went on */
};

enum carveout_policy {
	CARVEOUT_LOWEST_FIRST,
	CARVEOUT_FREE_FIRST,	/* by pages in use, fewest first; among equals the lowest */
	CARVEOUT_HIGHEST_FIRST,
	CARVEOUT_POLICIES
};

/* Every aligned candidate for a piece, in the order of the policy, until enough are had. */
struct carveout_contig {
	__u64 bytes;		/* a multiple of the pieces */
	__u64 piece_bytes;
	__u64 align_bytes;	/* of each piece; power of two */
	__u32 area;
	__u32 policy;
	__u64 granted_bytes;	/* out: less than bytes when the request fails */
	__u64 attempts;		/* out: calls of alloc_contig_range() */
	__u32 kernel_error;	/* out: the errno of its last call that failed, or 0 */
	__u32 reserved;		/* 0 */
};

/* The largest range of whole pageblocks, up to so many bytes. */
struct carveout_largest {
	__u64 bytes;
	__u32 area;
	__u32 reserved;		/* 0 */
	__u64 granted_bytes;	/* out */
	__u64 attempts;		/* out: calls of alloc_contig_range() */
	__u32 kernel_error;	/* out: with which it refused what a larger one needs, or 0 */
	__u32 reserved_too;	/* 0 */
};

struct carveout_cma {
	__u64 bytes;
	__u64 start;		/* out */
	__u32 kernel_error;	/* out: the errno of cma_alloc(), or 0 */
	__u32 reserved;		/* 0 */
};

/* The first page that cannot move in the candidate that has fewest of them. */
struct carveout_blocker {
	__u64 bytes;
	__u64 align_bytes;	/* and the step from candidate to candidate */
	struct carveout_range within;	/* where candidates may lie; 0 bytes: anywhere */
	__u32 area;
	__u32 found;		/* out: 0 when no page stands in the way of the best candidate */
	__u64 pfn;
	char type[16];
	char flags[112];
	char owner[160];	/* functions, who asked for the page first; or nothing */
};

/* Why carveout itself refuses memory that Linux shall leave alone. */
enum carveout_reason {
	CARVEOUT_NO_REASON,
	CARVEOUT_NO_MEMORY,		/* by the word of the firmware */
	CARVEOUT_LINUX_HAS_IT,
	CARVEOUT_RESERVED_MEMORY,	/* a node of /reserved-memory has some of it */
	CARVEOUT_LINUX_LACKS_IT,
	CARVEOUT_NOT_ONLINE,		/* added, and Linux did not take it into use */
};

struct carveout_carve_out {
	__u64 start;
	__u64 bytes;
	__u32 reason;		/* out */
	__u32 reserved;		/* 0 */
};

enum carveout_kind {
	CARVEOUT_CONTIG,
	CARVEOUT_CMA,
	CARVEOUT_CARVE_OUT,
	CARVEOUT_MAPPING,	/* pages of a process that holds them */
	CARVEOUT_ABSENT,	/* frames that Linux gave up, as to virtio-mem */
	CARVEOUT_REPORTED,	/* free frames that Linux told the machine of, and may take back */
	CARVEOUT_BLOCKS,	/* memory blocks that were removed */
};

/* Whole memory blocks: all that are added, or one that is removed and lent. */
struct carveout_blocks {
	__u64 start;
	__u64 bytes;
	__u32 memmap_on_memory;	/* when Linux gets it, now or again: its memmap lies on itself */
	__u32 reason;		/* out */
	__u32 kernel_error;	/* out: the errno with which the kernel refused, or 0 */
	__u32 reserved;		/* 0 */
};

/* Adopts the first bytes of a mapping of the caller, whose pages are all there. */
struct carveout_mapping {
	__u64 address;
	__u64 bytes;
	__u64 single_pages;	/* out: folios of order 0 among them */
};

struct carveout_absent {
	struct carveout_ranges ranges;
	__u64 bytes;		/* out: adopted, or absent in the baseline */
};

/* Adopts the first bytes of the free blocks that are marked as reported. */
struct carveout_reported {
	struct carveout_ranges ranges;
	__u64 most_bytes;	/* a last block is not taken whole */
	__u64 bytes;		/* out: adopted */
	__u64 reported_bytes;	/* out: all that are marked */
};

/* Undoes the newest lend that is neither CARVEOUT_ABSENT nor CARVEOUT_REPORTED. */
struct carveout_give_back {
	__u32 kind;
	__u32 kernel_error;	/* out: with which it did not take memory blocks back, or 0 */
	__u32 reason;		/* out: enum carveout_reason */
	__u32 reserved;		/* 0 */
	__u64 bytes;
	__u64 ns;		/* for freeing the frames, or until their holder had ended */
};

/* Clears every lent page that the host can reach, lent twice or not. */
struct carveout_zero {
	__u64 pages;
	__u64 ns;		/* in the loop that clears, nothing else */
};

/* Overwrites all free memory where the pattern with this seed would be. */
struct carveout_scribble {
	__u64 seed;
	__u32 reclaim;		/* some memory, too: later requests meet a changed host */
	__u32 reserved;		/* 0 */
	__u64 bytes;		/* out: free memory that was had */
};

/* Leaves the host without free memory until it is told to end, or the file is closed. */
struct carveout_starve {
	__u32 begin;		/* or end */
	__u32 reserved;		/* 0 */
	__u64 held_bytes;	/* out */
	__u64 left_bytes;	/* out: free, and withheld from ordinary allocations */
};

struct carveout_pattern {
	__u64 seed;
	__u64 pages_checked;
	__u64 pages_bad;
	__u64 pages_overlapping;
	__u64 pages_free;
};

struct carveout_reuse {
	struct carveout_ranges ranges;	/* none: what was given back last */
	__u32 movable;
	__u32 reserved;		/* 0 */
	__u64 allocator_bytes;	/* out: asked, and handed out by the page allocator */
	__u64 address_bytes;	/* out: asked, free, and to be had by address alone */
	__u64 untried_bytes;	/* out: asked and free, but not asked for by address */
};

struct carveout_unmovable {
	__u64 pageblocks;
	__u64 cluster_pageblocks;	/* so many neighbours take one each */
	__u64 seed;
	__u64 pages;		/* out: placed */
	__u64 eligible;		/* out: pageblocks that could take one */
};

#define CARVEOUT_IOC_CENSUS		_IOWR(0xca, 0, struct carveout_census)
#define CARVEOUT_IOC_PAUSE		_IO(0xca, 1)
#define CARVEOUT_IOC_LEND_CONTIG	_IOWR(0xca, 2, struct carveout_contig)
#define CARVEOUT_IOC_LEND_CMA		_IOWR(0xca, 3, struct carveout_cma)
#define CARVEOUT_IOC_LEND_CARVE_OUT	_IOWR(0xca, 4, struct carveout_carve_out)
#define CARVEOUT_IOC_LEND_MAPPING	_IOWR(0xca, 5, struct carveout_mapping)
#define CARVEOUT_IOC_ABSENT_BASELINE	_IOWR(0xca, 6, struct carveout_absent)
#define CARVEOUT_IOC_LEND_ABSENT	_IOWR(0xca, 7, struct carveout_absent)
#define CARVEOUT_IOC_FORGET		_IOR(0xca, 8, __u64)
#define CARVEOUT_IOC_GIVE_BACK		_IOR(0xca, 9, struct carveout_give_back)
#define CARVEOUT_IOC_BLOCKER		_IOWR(0xca, 10, struct carveout_blocker)
#define CARVEOUT_IOC_PATTERN_WRITE	_IOW(0xca, 11, struct carveout_pattern)
#define CARVEOUT_IOC_PATTERN_CHECK	_IOWR(0xca, 12, struct carveout_pattern)
#define CARVEOUT_IOC_POKE		_IOW(0xca, 13, __u64)
#define CARVEOUT_IOC_REUSE		_IOWR(0xca, 14, struct carveout_reuse)
#define CARVEOUT_IOC_UNMOVABLE		_IOWR(0xca, 15, struct carveout_unmovable)
#define CARVEOUT_IOC_COST_BEGIN		_IOW(0xca, 20, __u64)	/* enum carveout_cost */
#define CARVEOUT_IOC_COST_END		_IOR(0xca, 21, struct carveout_costs)
#define CARVEOUT_IOC_PAUSE_AND_AWAIT	_IOWR(0xca, 22, struct carveout_await)
#define CARVEOUT_IOC_LEND_LARGEST	_IOWR(0xca, 23, struct carveout_largest)
#define CARVEOUT_IOC_ZERO		_IOR(0xca, 30, struct carveout_zero)
#define CARVEOUT_IOC_SCRIBBLE		_IOWR(0xca, 31, struct carveout_scribble)
/* Returns when there is an order; the last is to end, when the lend of a mapping is given back. */
#define CARVEOUT_IOC_HOLD		_IOR(0xca, 32, struct carveout_order)
/* For tests: frees a block of lent pages, from this page on, and leaves the lend as it is. */
#define CARVEOUT_IOC_LOSE		_IOW(0xca, 33, __u64)
#define CARVEOUT_IOC_STARVE		_IOWR(0xca, 34, struct carveout_starve)
/* Waits without a pause. */
#define CARVEOUT_IOC_AWAIT		_IOWR(0xca, 50, struct carveout_await)
#define CARVEOUT_IOC_LEND_REPORTED	_IOWR(0xca, 51, struct carveout_reported)
/* One block at a time, and the caller may be interrupted: offlining goes on until it succeeds. */
#define CARVEOUT_IOC_LEND_BLOCK		_IOWR(0xca, 60, struct carveout_blocks)
#define CARVEOUT_IOC_ADD_MEMORY		_IOWR(0xca, 61, struct carveout_blocks)
#define CARVEOUT_IOC_VM_RANGES		_IOWR(0xca, 40, struct carveout_vm_ranges)
#define CARVEOUT_IOC_VM_WATCH		_IOW(0xca, 41, struct carveout_vm_watch)
#define CARVEOUT_IOC_VM_STAGE2		_IOWR(0xca, 42, struct carveout_stage2)
#define CARVEOUT_IOC_VM_TABLES		_IOR(0xca, 43, __u64)	/* pages of all stage-2 tables */
#define CARVEOUT_IOC_ORDER		_IOWR(0xca, 44, struct carveout_order)
#define CARVEOUT_IOC_REPORT		_IOW(0xca, 45, struct carveout_vm_report)

#endif
