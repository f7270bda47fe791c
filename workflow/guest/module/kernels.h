/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What kernels have by other names, or not at all. The kernel's headers are asked, never its
 * version; what the preprocessor cannot see is asked in the Makefile.
 */
#ifndef CARVEOUT_KERNELS_H
#define CARVEOUT_KERNELS_H

#include <linux/mm.h>
#include <linux/mmzone.h>
#ifdef HAS_PFN_T
#include <linux/pfn_t.h>
#endif

/* MAX_ORDER was the number of orders, then the largest of them: the free lists tell. */
#ifndef NR_PAGE_ORDERS
#define NR_PAGE_ORDERS (sizeof(((struct zone *)0)->free_area) / sizeof(struct free_area))
#endif
#ifndef MAX_PAGE_ORDER
#define MAX_PAGE_ORDER ((int)NR_PAGE_ORDERS - 1)
#endif

/* Newer kernels have a bit of its own for MIGRATE_ISOLATE. */
#ifndef MIGRATETYPE_MASK
#define MIGRATETYPE_MASK PAGEBLOCK_MIGRATETYPE_MASK
#endif

#ifdef CONFIG_ARCH_SUPPORTS_HUGE_PFNMAP

/* Maps a block for a fault. A frame had a type of its own. */
static inline vm_fault_t insert_block(struct vm_fault *fault, unsigned long pfn)
{
	bool write = fault->flags & FAULT_FLAG_WRITE;

#ifdef HAS_PFN_T
	return vmf_insert_pfn_pmd(fault, __pfn_to_pfn_t(pfn, PFN_DEV), write);
#else
	return vmf_insert_pfn_pmd(fault, pfn, write);
#endif
}

#endif

/* How often the pages of a folio are mapped. Older kernels have it, but not for modules. */
static inline long mapcount_read(struct folio *folio)
{
#ifdef HAS_FOLIO_MAPCOUNT
	return folio_mapcount(folio);
#else
	long whole, each = 0, i, pages = folio_nr_pages(folio);

	if (!folio_test_large(folio))
		return atomic_read(&folio->_mapcount) + 1;
	whole = folio_entire_mapcount(folio);
	if (folio_test_hugetlb(folio))
		return whole;
	for (i = 0; i < pages; i++)
		each += atomic_read(&folio_page(folio, i)->_mapcount) + 1;
	/* What maps the whole counts in each page of a file, and in each that is split. */
	if (!folio_test_anon(folio))
		return each + whole - whole * pages;
	return each + whole - (folio_test_double_map(folio) ? pages : 0);
#endif
}

#endif
