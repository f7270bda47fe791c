// SPDX-License-Identifier: GPL-2.0-only
/*
 * carveout history: what a host did before, so that its memory is laid out otherwise than that of a
 * host with another seed. Objects of three kinds come and go in a seeded order, until so many
 * bytes were allocated in all; then all of them go. What stays is where the kernel has put its own
 * pages meanwhile, and in which order its free lists are.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "seeded.h"
#include "tool.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* At most 2 MiB each, so that they never hold more than 128 MiB. */
#define OBJECTS 64
#define LEAST_BYTES 4096ul
#define SIZES 10
#define PIPE_BYTES 65536

enum kind { ANONYMOUS, SHARED, PIPE, KINDS };

struct object {
	enum kind kind;
	uint64_t bytes;		/* 0 of none */
	void *start;
	int ends[2];
};

static void make_mapping(struct object *object, int flags)
{
	object->start = mmap(NULL, object->bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS,
			     -1, 0);
	if (object->start == MAP_FAILED ||
	    madvise(object->start, object->bytes, MADV_POPULATE_WRITE))
		die("map memory for a host's history");
}

static void make_pipe(struct object *object)
{
	static const char zeroes[PIPE_BYTES];

	object->bytes = PIPE_BYTES;
	if (pipe2(object->ends, O_NONBLOCK) || write(object->ends[1], zeroes, PIPE_BYTES) <= 0)
		die("fill a pipe for a host's history");
}

static void make(struct object *object, struct seeded *seeded)
{
	object->kind = seeded_below(seeded, KINDS);
	object->bytes = LEAST_BYTES << seeded_below(seeded, SIZES);
	if (object->kind == PIPE)
		make_pipe(object);
	else
		make_mapping(object, object->kind == ANONYMOUS ? MAP_PRIVATE : MAP_SHARED);
}

static void drop(struct object *object)
{
	if (object->kind == PIPE) {
		close(object->ends[0]);
		close(object->ends[1]);
	} else {
		munmap(object->start, object->bytes);
	}
	object->bytes = 0;
}

int run_history(int count, char **arguments)
{
	static struct object objects[OBJECTS];
	struct seeded seeded = {};
	uint64_t bytes, made_bytes = 0;

	if (count != 2)
		return usage("history SEED BYTES");
	seeded.state = parse_number("SEED", arguments[0]);
	bytes = parse_number("BYTES", arguments[1]);
	while (made_bytes < bytes) {
		struct object *object = &objects[seeded_below(&seeded, OBJECTS)];

		if (object->bytes) {
			drop(object);
		} else {
			make(object, &seeded);
			made_bytes += object->bytes;
		}
	}
	return DONE;
}
