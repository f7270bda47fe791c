// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who allocated the pages that cannot move. The page allocator says when it hands one out (the
 * tracepoint mm_page_alloc), and who asked is on the stack. Noted is the last that got each frame,
 * from the moment on at which the parameter "owners" is set; who came before is not known. Pages
 * that can move are let through: they are in nobody's way.
 */

#include <linux/jhash.h>
#include <linux/kallsyms.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/spinlock.h>
#include <linux/stacktrace.h>
#include <linux/tracepoint.h>

#include <trace/events/kmem.h>

#include "costs.h"
#include "frames.h"
#include "owners.h"

#define STACK_FRAMES 14
#define SHOWN_FRAMES 4
#define MOST_STACKS 1024	/* powers of two; a stack more is not noted */
#define BUCKETS (2 * MOST_STACKS)

struct stack {
	unsigned int nr;
	unsigned long frames[STACK_FRAMES];
};

/* Stack 0 is of nobody. */
static struct owners {
	unsigned long first_pfn;
	unsigned long nr_frames;
	u16 *stack_of;		/* [nr_frames] */
	struct stack *stacks;	/* [MOST_STACKS] */
	unsigned int nr_stacks;
	u16 buckets[BUCKETS];
} owners;

static DEFINE_RAW_SPINLOCK(owners_lock);
static struct tracepoint *page_alloc;

/* Returns the number of the stack, the same for the same frames; or 0. */
static u16 number_of(const struct stack *stack)
{
	u32 bucket = jhash(stack->frames, stack->nr * sizeof(*stack->frames), 0) % BUCKETS;
	u16 number;

	while ((number = owners.buckets[bucket])) {
		if (!memcmp(&owners.stacks[number], stack, sizeof(*stack)))
			return number;
		bucket = (bucket + 1) % BUCKETS;
	}
	if (owners.nr_stacks == MOST_STACKS)
		return 0;
	owners.stacks[owners.nr_stacks] = *stack;
	owners.buckets[bucket] = owners.nr_stacks;
	return owners.nr_stacks++;
}

/* The frames are of that stack from now on; of nobody where it is NULL. */
static void note_frames(unsigned long pfn, unsigned long pages, const struct stack *stack)
{
	unsigned long flags, i, at = pfn - READ_ONCE(owners.first_pfn);
	u16 number;

	raw_spin_lock_irqsave(&owners_lock, flags);
	number = owners.stack_of && stack ? number_of(stack) : 0;
	for (i = at; owners.stack_of && i < at + pages && i < owners.nr_frames; i++)
		owners.stack_of[i] = number;
	raw_spin_unlock_irqrestore(&owners_lock, flags);
}

/* Of frames that whoever is on the stack has got just now, and that cannot move. */
void owner_note(unsigned long pfn, unsigned long pages)
{
	struct stack stack = {};

	if (!READ_ONCE(owners.stack_of))
		return;
	stack.nr = stack_trace_save(stack.frames, STACK_FRAMES, 0);
	note_frames(pfn, pages, &stack);
}

static void owner_forget(unsigned long pfn, unsigned long pages)
{
	note_frames(pfn, pages, NULL);
}

/* A look at the stack would be part of what a lend costs: who lends is known without it. */
static void page_allocated(void *data, struct page *page, unsigned int order, gfp_t gfp,
			   int migratetype)
{
	if (!page || gfp & __GFP_MOVABLE)
		return;
	if (cost_is_lender())
		owner_forget(page_to_pfn(page), 1UL << order);
	else
		owner_note(page_to_pfn(page), 1UL << order);
}

/* What every allocation goes through, and what notes it. */
static const char * const passed_through[] = {
	"owner_note", "page_allocated", "stack_trace", "__traceiter", "__alloc", "alloc_",
	"__get_free", "get_free_pages", "get_zeroed", "__folio_alloc", "folio_alloc", "new_slab",
	"allocate_slab", "___slab", "__slab", "kmem_cache", "__kmem_cache", "kmalloc", "__kmalloc",
	"__do_kmalloc",
};

static bool is_passed_through(const char *name)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(passed_through); i++) {
		if (str_has_prefix(name, passed_through[i]))
			return true;
	}
	return false;
}

/* A stack that was noted once stays as it is. NULL where nothing is noted. */
static const struct stack *noted_stack(unsigned long pfn)
{
	unsigned long flags, at = pfn - owners.first_pfn;
	const struct stack *stack = NULL;

	raw_spin_lock_irqsave(&owners_lock, flags);
	if (owners.stack_of && at < owners.nr_frames)
		stack = &owners.stacks[owners.stack_of[at]];
	raw_spin_unlock_irqrestore(&owners_lock, flags);
	return stack;
}

/* The function that asked and who called it, as far as there is room. Empty where nobody knows. */
void owner_print(unsigned long pfn, char *to, size_t size)
{
	const struct stack *stack = noted_stack(pfn);
	char name[KSYM_SYMBOL_LEN];
	unsigned int i, shown = 0;
	size_t used = 0;

	*to = '\0';
	for (i = 0; stack && i < stack->nr && shown < SHOWN_FRAMES; i++) {
		snprintf(name, sizeof(name), "%ps", (void *)stack->frames[i]);
		name[strcspn(name, " ")] = '\0';	/* the module's name follows */
		if (!shown && is_passed_through(name))
			continue;
		used += scnprintf(to + used, size - used, "%s%s", shown ? "," : "", name);
		shown++;
	}
}

static void owners_free(void)
{
	kvfree(owners.stack_of);
	kvfree(owners.stacks);
	owners.stack_of = NULL;
	owners.stacks = NULL;
}

static int owners_watch(void)
{
	int ret;

	check_trace_callback_type_mm_page_alloc(page_allocated);
	page_alloc = probes_find_tracepoint("mm_page_alloc");
	if (!page_alloc)
		return -ENOENT;
	ret = tracepoint_probe_register(page_alloc, page_allocated, NULL);
	if (ret)
		page_alloc = NULL;
	return ret;
}

static int owners_begin(void)
{
	int ret = -ENOMEM;

	if (page_alloc)
		return 0;
	owners.first_pfn = first_ram_pfn();
	owners.nr_frames = end_ram_pfn() - owners.first_pfn;
	owners.nr_stacks = 1;
	owners.stacks = kvcalloc(MOST_STACKS, sizeof(*owners.stacks), GFP_KERNEL);
	owners.stack_of = kvcalloc(owners.nr_frames, sizeof(*owners.stack_of), GFP_KERNEL);
	if (owners.stacks && owners.stack_of)
		ret = owners_watch();
	if (ret)
		owners_free();
	return ret;
}

/*
 * For memory that was not there when the noting began, before it comes online. Without room for
 * it, who allocates there stays unknown.
 */
void owners_cover(unsigned long end_pfn)
{
	unsigned long flags, nr_frames = end_pfn - owners.first_pfn;
	u16 *stack_of, *covered_before;

	if (!page_alloc || end_pfn <= owners.first_pfn + owners.nr_frames)
		return;
	stack_of = kvcalloc(nr_frames, sizeof(*stack_of), GFP_KERNEL);
	if (!stack_of)
		return;
	raw_spin_lock_irqsave(&owners_lock, flags);
	covered_before = owners.stack_of;
	memcpy(stack_of, covered_before, owners.nr_frames * sizeof(*stack_of));
	WRITE_ONCE(owners.stack_of, stack_of);
	owners.nr_frames = nr_frames;
	raw_spin_unlock_irqrestore(&owners_lock, flags);
	kvfree(covered_before);
}

static int owners_set(const char *text, const struct kernel_param *parameter)
{
	return owners_begin();
}

void owners_exit(void)
{
	if (!page_alloc)
		return;
	tracepoint_probe_unregister(page_alloc, page_allocated, NULL);
	tracepoint_synchronize_unregister();
	owners_free();
}

static const struct kernel_param_ops owners_operations = { .set = owners_set };

module_param_cb(owners, &owners_operations, NULL, 0200);
MODULE_PARM_DESC(owners, "note from now on who allocates pages that cannot move");
