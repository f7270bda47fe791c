// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows that lent bytes are there and nobody else's: one cache line in every lent page, at an
 * offset and with a content that follow from a seed and the frame's number, so that a frame
 * that is really another frame is found out too.
 */

#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "carveout.h"

#define LINE_BYTES 64
#define LINE_WORDS (LINE_BYTES / sizeof(u64))
#define LINES_PER_PAGE (PAGE_SIZE / LINE_BYTES)
#define WORD_STEP 0x9e3779b97f4a7c15ULL

/* One step of splitmix64: equal inputs give equal numbers on every machine. */
u64 seeded(u64 seed, u64 index)
{
	u64 x = seed * 0xd1342543de82ef95ULL + (index + 1) * 0x9e3779b97f4a7c15ULL;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

/* The line's place and its first word come from one seeded number, the other words follow. */
static u64 *frame_line(void *address, u64 number)
{
	return address + (number >> 32) % LINES_PER_PAGE * LINE_BYTES;
}

static void line_write(void *address, u64 number)
{
	u64 *line = frame_line(address, number);
	unsigned int word;

	for (word = 0; word < LINE_WORDS; word++)
		WRITE_ONCE(line[word], number + word * WORD_STEP);
}

/* Anything but the line of the frame, where that line would be. */
void pattern_scribble(void *address, u64 seed, unsigned long pfn)
{
	u64 number = seeded(seed, pfn);
	u64 *line = frame_line(address, number);
	unsigned int word;

	for (word = 0; word < LINE_WORDS; word++)
		WRITE_ONCE(line[word], ~(number + word * WORD_STEP));
}

static bool line_is_good(void *address, u64 number)
{
	u64 *line = frame_line(address, number);
	unsigned int word;

	for (word = 0; word < LINE_WORDS; word++) {
		if (READ_ONCE(line[word]) != number + word * WORD_STEP)
			return false;
	}
	return true;
}

/* Some lent frames that follow each other. */
struct visit {
	unsigned long pfn;
	unsigned long pages;
	void *address;		/* of the first, or NULL when Linux lost them meanwhile */
	bool free;
};

typedef void (*visit_fn)(const struct visit *visit, void *data);

/* The frames from pfn on that are in one state. */
static struct visit visit_at(const struct lend *lend, unsigned long pfn, unsigned long end)
{
	struct visit visit = { .pfn = pfn, .pages = min(end, pageblock_end_pfn(pfn)) - pfn };
	struct frame_run run;

	if (lend->ops->address) {
		visit.address = lend->ops->address(lend, pfn);
		return visit;
	}
	run = frame_stretch_read(pfn, pfn + visit.pages);
	visit.pages = run.pages;
	visit.free = run.state == FRAME_FREE;
	if (frame_is_present(&run, pfn))
		visit.address = page_address(run.page);
	else if (frame_is_device(pfn))
		visit.address = page_address(pfn_to_page(pfn));
	return visit;
}

static int visit_extent(const struct lend *lend, const struct extent *extent, visit_fn visit,
			void *data)
{
	unsigned long pfn = extent->pfn, end = extent->pfn + extent->pages;

	while (pfn < end) {
		struct visit here = visit_at(lend, pfn, end);

		visit(&here, data);
		pfn += here.pages;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* Frames that nobody here has a hold on cannot be visited. */
static int visit_lent_frames(visit_fn visit, void *data)
{
	struct lend *lend;
	unsigned long i;
	int ret = 0;

	list_for_each_entry(lend, &lends, node) {
		if (!lend_is_held(lend))
			continue;
		for (i = 0; i < lend->extents.count && !ret; i++)
			ret = visit_extent(lend, &lend->extents.list[i], visit, data);
	}
	return ret;
}

/*
 * The clock runs around the loop alone, from one reading to the next: how frames are found differs
 * from lend to lend, how they are cleared does not.
 */
static void zero_frames(const struct visit *visit, void *data)
{
	struct carveout_zero *zero = data;
	u64 start = ktime_get_ns();
	unsigned long i;

	if (!visit->address)
		return;
	for (i = 0; i < visit->pages; i++)
		clear_page(visit->address + PFN_PHYS(i));
	zero->ns += ktime_get_ns() - start;
	zero->pages += visit->pages;
}

/* The same work for every lend, whether the kernel cleared the pages before or not. */
int pattern_zero(struct carveout_zero *zero)
{
	zero->pages = 0;
	zero->ns = 0;
	return visit_lent_frames(zero_frames, zero);
}

static void write_frames(const struct visit *visit, void *data)
{
	const struct carveout_pattern *pattern = data;
	unsigned long i;

	for (i = 0; visit->address && i < visit->pages; i++)
		line_write(visit->address + PFN_PHYS(i), seeded(pattern->seed, visit->pfn + i));
}

int pattern_write(const struct carveout_pattern *pattern)
{
	return visit_lent_frames(write_frames, (void *)pattern);
}

static unsigned long bad_frames(const struct visit *visit, u64 seed)
{
	unsigned long i, bad = 0;

	for (i = 0; i < visit->pages; i++) {
		if (!line_is_good(visit->address + PFN_PHYS(i), seeded(seed, visit->pfn + i)))
			bad++;
	}
	return bad;
}

/* Frames that cannot be read any more are bad. Each counts once: as bad, or as free and good. */
static void check_frames(const struct visit *visit, void *data)
{
	struct carveout_pattern *pattern = data;
	unsigned long bad = visit->address ? bad_frames(visit, pattern->seed) : visit->pages;

	pattern->pages_checked += visit->pages;
	pattern->pages_bad += bad;
	pattern->pages_free += visit->free ? visit->pages - bad : 0;
}

/* Nothing can be written to what Linux has, too: whether it let them be is what can be said. */
static void check_revocable(struct carveout_pattern *pattern)
{
	struct lend *lend;

	list_for_each_entry(lend, &lends, node) {
		if (!lend_is_revocable(lend))
			continue;
		pattern->pages_checked += extents_pages(&lend->extents);
		pattern->pages_bad += lend->ops->bad_pages(&lend->extents);
	}
}

int pattern_check(struct carveout_pattern *pattern)
{
	pattern->pages_checked = 0;
	pattern->pages_bad = 0;
	pattern->pages_free = 0;
	pattern->pages_overlapping = lent_more_than_once;
	check_revocable(pattern);
	return visit_lent_frames(check_frames, pattern);
}

struct poke {
	u64 index;
	bool done;
};

/* One bit in every line of the page: whatever the seed, the pattern is no longer right. */
static void poke_frame(const struct visit *visit, void *data)
{
	struct poke *poke = data;
	unsigned long line;
	u8 *address;

	if (poke->done || !visit->address)
		return;
	if (poke->index >= visit->pages) {
		poke->index -= visit->pages;
		return;
	}
	address = visit->address + PFN_PHYS(poke->index);
	for (line = 0; line < LINES_PER_PAGE; line++)
		address[line * LINE_BYTES] ^= 1;
	poke->done = true;
}

int pattern_poke(u64 index)
{
	struct poke poke = { .index = index };
	int ret = visit_lent_frames(poke_frame, &poke);

	if (ret)
		return ret;
	return poke.done ? 0 : -ERANGE;
}
