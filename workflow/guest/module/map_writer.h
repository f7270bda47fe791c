/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef CARVEOUT_MAP_WRITER_H
#define CARVEOUT_MAP_WRITER_H

#include <linux/uaccess.h>

/* Letters gather here on their way to user space: a census allocates nothing. */
struct map_writer {
	char __user *to;
	unsigned long room;
	unsigned long used;
	char letters[128];
};

static inline int map_flush(struct map_writer *map)
{
	if (copy_to_user(map->to, map->letters, map->used))
		return -EFAULT;
	map->to += map->used;
	map->used = 0;
	return 0;
}

static inline int map_put(struct map_writer *map, char letter)
{
	if (!map->room)
		return -E2BIG;
	map->room--;
	map->letters[map->used++] = letter;
	return map->used == sizeof(map->letters) ? map_flush(map) : 0;
}

#endif
