/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files do that answer requests, one file each. extents.c, frames.c and lends.c, which
 * they stand on, have headers of their own. The parts of scribble.c and reuse.c, which answer no
 * request, are in drain.h, probe.h and pageblocks.h.
 */
#ifndef CARVEOUT_H
#define CARVEOUT_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include "carveout_uapi.h"
#include "extents.h"
#include "frames.h"
#include "lends.h"

/* No request looks through more than this, however much nothing there is. */
#define MOST_PAGES PHYS_PFN(1024ULL * SZ_1G)

extern struct mutex carveout_lock;	/* in main.c */

int census_take(struct carveout_census *census);
int blocker_find(struct carveout_blocker *blocker);
unsigned int count_blockers(u32 area, unsigned long pfn, unsigned long end);

int contig_check(u64 bytes, u64 align_bytes);
int contig_lend(struct carveout_contig *request);
struct lend *contig_new(void);
int contig_take(struct lend *lend, unsigned long pfn, unsigned long pages);
int contig_add(struct lend *lend);
int contig_allocate(unsigned long pfn, unsigned long pages);
int contig_allocate_as(unsigned long pfn, unsigned long pages, int migratetype);
int contig_allocate_anywhere(unsigned long pfn, unsigned long pages);
int largest_lend(struct carveout_largest *request);
int cma_lend(struct carveout_cma *request);
void cma_exit(void);
int carve_out_lend(struct carveout_carve_out *request);
bool linux_has_memory(u64 start, u64 bytes);
int firmware_check(u64 start, u64 bytes, u32 *reason);
int blocks_add(struct carveout_blocks *request);
int blocks_lend(struct carveout_blocks *request);
int blocks_bring_back(struct carveout_give_back *given);
void blocks_exit(void);
int mapping_lend(struct file *file, struct carveout_mapping *mapping);
int mapping_hold(struct file *file, struct carveout_order *order);
int mapping_report(struct file *file, const struct carveout_vm_report *report);
int mapping_order(struct carveout_order *order);
void mapping_release(struct file *file);
int absent_take_baseline(struct carveout_absent *absent);
int absent_lend(struct carveout_absent *absent);
int absent_forget(u64 *bytes);
void absent_exit(void);
int reported_lend(struct carveout_reported *reported);
int reported_forget(u64 *bytes);

int pattern_zero(struct carveout_zero *zero);
int pattern_write(const struct carveout_pattern *pattern);
int pattern_check(struct carveout_pattern *pattern);
int pattern_poke(u64 index);
void pattern_scribble(void *address, u64 seed, unsigned long pfn);
u64 seeded(u64 seed, u64 index);

int scribble_free_memory(struct carveout_scribble *scribble);
int lends_lose(u64 index);
int starve_host(struct file *file, struct carveout_starve *starve);
void starve_release(struct file *file);

int reuse_probe(struct carveout_reuse *reuse);
int unmovable_place(struct carveout_unmovable *request);
void unmovable_exit(void);

void snapshot_exit(void);
int pause_machine(struct carveout_await *await);
void begin_with_tick(void);

#endif
