/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the time of an operation goes to. One operation at a time, by one task: the lender. Its
 * time goes to the category on the top of a stack; everybody else's calls change nothing.
 */
#ifndef CARVEOUT_COSTS_H
#define CARVEOUT_COSTS_H

#include <linux/types.h>

#include "carveout_uapi.h"

bool cost_is_lender(void);
int cost_begin(u32 base);
void cost_enter(enum carveout_cost category);
void cost_enter_within(enum carveout_cost category);
void cost_switch(enum carveout_cost category);
void cost_leave(void);
void cost_take_over(void);
void cost_stop(void);
void cost_end(struct carveout_costs *costs);

struct tracepoint;

int probes_init(void);
void probes_exit(void);
struct tracepoint *probes_find_tracepoint(const char *name);

/* await.c */
struct work_struct;

int await_prepare(const char *work);
void await_begin(void);
int await_end(struct carveout_await *await);
void await_started(struct work_struct *work);
void await_ended(void);
bool await_sleeps(void);
int await_work(struct carveout_await *await);

/* cma.c */
void cma_alloc_ended(bool found, int error);

#endif
