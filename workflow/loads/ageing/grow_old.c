// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocates WORK_BYTES in all, and frees most of it again, as a host that has been up for long:
 *
 *   grow_old WORK_BYTES REST_BYTES SEED FOLDER
 *
 * Objects of several kinds come one after another; in each phase of its life one kind, seeded, is
 * as frequent as all others together. Whenever four fifths of what was available at the start are
 * in use, random objects are freed. When the work is done, random ones are, until no more than
 * REST_BYTES are in use. Some kinds can move and others cannot, and the kernel has to make room
 * for either where the other was.
 *
 * Meanwhile it notes in /run/reached how much it holds. It prints worked_bytes=, what the kernel
 * counts as allocated since the start, and held_bytes=, and sleeps; or it goes on when it is told
 * to, an object a step.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "seeded.h"
#include "worker.h"

#define MOST_OBJECTS 65536
/* After so many objects it looks how much the kernel has allocated. */
#define LOOK_OBJECTS 16
#define MOST_FILES (2 * MOST_OBJECTS + 16)
#define PHASE_BYTES (64ul << 20)
#define FILES_OF_A_FOLDER 32
/* Of a tmpfs: inode and dentry. */
#define FILE_BYTES 900

enum kind { ANONYMOUS, TMPFS, PIPE, SLAB, TABLES, KINDS };

struct object {
	enum kind kind;
	size_t bytes;
	size_t number;		/* of a file or folder */
	void *start;		/* of a mapping */
	size_t mapped_bytes;
	int ends[2];		/* of a pipe, or a file and nothing */
};

struct life {
	const char *folder;
	size_t page_bytes;
	size_t before_pages;	/* allocated at the start */
	size_t rest_bytes;
	struct seeded seeded;
	__u64 seed;
	size_t held_bytes;
	size_t made_bytes;
	size_t nr_made;
	size_t nr;
	struct object objects[MOST_OBJECTS];
};

static const char *path_of(const struct life *life, size_t number, size_t file)
{
	static char path[256];

	if (file == FILES_OF_A_FOLDER)
		snprintf(path, sizeof(path), "%s/%zu", life->folder, number);
	else
		snprintf(path, sizeof(path), "%s/%zu/%zu", life->folder, number, file);
	return path;
}

/* 1 to 512 pages, as often more as fewer than 16. */
static size_t some_bytes(struct life *life)
{
	return life->page_bytes << seeded_below(&life->seeded, 10);
}

static int make_anonymous(struct life *life, struct object *object)
{
	object->bytes = some_bytes(life);
	object->mapped_bytes = object->bytes;
	object->start = mmap(NULL, object->bytes, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (object->start == MAP_FAILED)
		return -1;
	return madvise(object->start, object->bytes, MADV_POPULATE_WRITE);
}

static int make_file(struct life *life, struct object *object)
{
	object->bytes = some_bytes(life);
	object->ends[0] = open(path_of(life, object->number, FILES_OF_A_FOLDER),
			       O_RDWR | O_CREAT, 0600);
	if (object->ends[0] < 0 || unlink(path_of(life, object->number, FILES_OF_A_FOLDER)))
		return -1;
	return fallocate(object->ends[0], 0, 0, object->bytes);
}

/* As many pages as a pipe has room for. */
static int make_pipe(struct life *life, struct object *object)
{
	static char zeroes[65536];
	int room;

	if (pipe2(object->ends, O_NONBLOCK))
		return -1;
	room = fcntl(object->ends[1], F_SETPIPE_SZ, 16 * life->page_bytes);
	while (room > 0 && object->bytes < (size_t)room) {
		size_t left = room - object->bytes;
		ssize_t written = write(object->ends[1], zeroes,
					left < sizeof(zeroes) ? left : sizeof(zeroes));

		if (written <= 0)
			break;
		object->bytes += written;
	}
	return object->bytes ? 0 : -1;
}

static int make_slab(struct life *life, struct object *object)
{
	object->bytes = FILES_OF_A_FOLDER * FILE_BYTES;
	if (mkdir(path_of(life, object->number, FILES_OF_A_FOLDER), 0700))
		return -1;
	for (size_t file = 0; file < FILES_OF_A_FOLDER; file++) {
		if (mknod(path_of(life, object->number, file), S_IFREG | 0600, 0))
			return -1;
	}
	return 0;
}

/* A page of each range that a last-level table maps is read, which takes no page but the table. */
static int make_tables(struct life *life, struct object *object)
{
	size_t range_bytes = life->page_bytes * life->page_bytes / sizeof(uint64_t);
	size_t nr = 1 + seeded_below(&life->seeded, 32);

	object->bytes = nr * life->page_bytes;
	object->mapped_bytes = (nr + 1) * range_bytes;
	object->start = mmap(NULL, object->mapped_bytes, PROT_READ,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (object->start == MAP_FAILED ||
	    madvise(object->start, object->mapped_bytes, MADV_NOHUGEPAGE))
		return -1;
	for (size_t i = 0; i < nr; i++)
		__atomic_load_n((char *)object->start + i * range_bytes, __ATOMIC_RELAXED);
	return 0;
}

static int make(struct life *life, enum kind kind)
{
	struct object *object = &life->objects[life->nr];
	int error = -1;

	*object = (struct object){ .kind = kind, .number = life->nr_made++ };
	switch (kind) {
	case ANONYMOUS:
		error = make_anonymous(life, object);
		break;
	case TMPFS:
		error = make_file(life, object);
		break;
	case PIPE:
		error = make_pipe(life, object);
		break;
	case SLAB:
		error = make_slab(life, object);
		break;
	default:
		error = make_tables(life, object);
	}
	life->held_bytes += object->bytes;
	life->made_bytes += object->bytes;
	life->nr++;
	return error;
}

static int drop(struct life *life, size_t at)
{
	struct object *object = &life->objects[at];
	int error = 0;

	switch (object->kind) {
	case ANONYMOUS:
	case TABLES:
		error = munmap(object->start, object->mapped_bytes);
		break;
	case TMPFS:
		error = close(object->ends[0]);
		break;
	case PIPE:
		error = close(object->ends[0]) | close(object->ends[1]);
		break;
	default:
		for (size_t file = 0; file < FILES_OF_A_FOLDER; file++)
			error |= unlink(path_of(life, object->number, file));
		error |= rmdir(path_of(life, object->number, FILES_OF_A_FOLDER));
	}
	life->held_bytes -= object->bytes;
	*object = life->objects[--life->nr];
	return error;
}

static int drop_random(struct life *life, size_t most_bytes)
{
	int error = 0;

	while (!error && life->nr && life->held_bytes > most_bytes)
		error = drop(life, seeded_below(&life->seeded, life->nr));
	return error;
}

/* Every second object is of the phase's kind. */
static enum kind next_kind(struct life *life)
{
	struct seeded phase = { .state = life->seed + life->made_bytes / PHASE_BYTES };

	return seeded_below(seeded_below(&life->seeded, 2) ? &phase : &life->seeded, KINDS);
}

/* Since boot, of all zones. */
static size_t allocated_pages(void)
{
	FILE *file = fopen("/proc/vmstat", "r");
	unsigned long pages, all = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "pgalloc_%*s %lu", &pages) == 1)
			all += pages;
	}
	if (file)
		fclose(file);
	return all;
}

static size_t worked_bytes(const struct life *life)
{
	return (allocated_pages() - life->before_pages) * life->page_bytes;
}

static int live(struct life *life, size_t work_bytes, size_t most_bytes)
{
	int reached = worker_open_note();
	int error = reached < 0 ? -1 : 0;

	while (!error && (life->nr_made % LOOK_OBJECTS || worked_bytes(life) < work_bytes)) {
		if (life->held_bytes >= most_bytes || life->nr == MOST_OBJECTS)
			error = drop_random(life, most_bytes - most_bytes / 8);
		if (!error)
			error = make(life, next_kind(life));
		if (!error && life->nr_made % LOOK_OBJECTS == 0)
			error = worker_note(reached, life->held_bytes);
	}
	return error;
}

static int live_on(void *data)
{
	struct life *life = data;

	return make(life, next_kind(life)) || drop_random(life, life->rest_bytes);
}

int main(int argc, char **argv)
{
	static struct life life;
	size_t available_bytes;
	struct rlimit files = { .rlim_cur = MOST_FILES, .rlim_max = MOST_FILES };

	if (argc != 5) {
		fputs("usage: grow_old WORK_BYTES REST_BYTES SEED FOLDER\n", stderr);
		return 2;
	}
	life.page_bytes = sysconf(_SC_PAGESIZE);
	life.before_pages = allocated_pages();
	life.folder = argv[4];
	life.rest_bytes = strtoull(argv[2], NULL, 10);
	life.seed = strtoull(argv[3], NULL, 10);
	life.seeded.state = life.seed;
	available_bytes = worker_kernel_bytes("/proc/meminfo", "MemAvailable");
	if (setrlimit(RLIMIT_NOFILE, &files) ||
	    live(&life, strtoull(argv[1], NULL, 10), available_bytes / 5 * 4) ||
	    drop_random(&life, life.rest_bytes)) {
		perror("grow_old");
		return 1;
	}
	printf("worked_bytes=%zu ", worked_bytes(&life));
	worker_serve(life.held_bytes, live_on, &life);
}
