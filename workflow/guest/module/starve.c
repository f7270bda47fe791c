// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holds all memory that the page allocator hands out without reclaim, for as long as a caller does
 * one thing: what it asks of the kernel meets a host without free memory. What the kernel can
 * reclaim for it, it may.
 */

#include <linux/mm.h>
#include <linux/vmstat.h>

#include "carveout.h"
#include "drain.h"

static struct drain held;
static struct file *starver;	/* who asked; its end ends the hunger */

static int starve_end(void)
{
	WRITE_ONCE(starver, NULL);
	return drain_end(&held);
}

static int starve_begin(struct file *file, struct carveout_starve *starve)
{
	int ret = drain_begin(&held);

	if (ret)
		return ret;
	WRITE_ONCE(starver, file);
	drain_take_all(&held, true);
	drain_take_all(&held, false);
	starve->held_bytes = PFN_PHYS(held.pages);
	starve->left_bytes = PFN_PHYS(global_zone_page_state(NR_FREE_PAGES));
	return 0;
}

int starve_host(struct file *file, struct carveout_starve *starve)
{
	if (starve->reserved || !starve->begin == !starver)
		return -EINVAL;
	return starve->begin ? starve_begin(file, starve) : starve_end();
}

/* Takes the lock only for who needs it: who gives back holds it, and waits for a holder's file. */
void starve_release(struct file *file)
{
	if (READ_ONCE(starver) != file)
		return;
	mutex_lock(&carveout_lock);
	if (starver == file)
		starve_end();
	mutex_unlock(&carveout_lock);
}
