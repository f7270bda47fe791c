/* SPDX-License-Identifier: GPL-2.0-only */
/* What a load's programs say of how much they hold. */
#ifndef WORKER_H
#define WORKER_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file that tells how far a worker came, in case that it is killed; or -1. */
static inline int worker_open_note(void)
{
	return open("/run/reached", O_WRONLY | O_CREAT, 0600);
}

/* Always as many characters, since what was noted before is written over. Returns 0 or -1. */
static inline int worker_note(int file, size_t held_bytes)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%-20zu\n", held_bytes);

	return pwrite(file, text, length, 0) == length ? 0 : -1;
}

/* What a line of a kernel's file gives in kB, in bytes: "NAME:   123 kB". 0 without such a line. */
static inline size_t worker_kernel_bytes(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	unsigned long kib = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		size_t length = strlen(name);

		if (!strncmp(line, name, length) && sscanf(line + length, ": %lu", &kib) == 1)
			break;
	}
	if (file)
		fclose(file);
	return kib * 1024;
}

/* Tells the shell how much is held, and holds it until it is killed. */
static inline void worker_hold(size_t held_bytes)
{
	printf("held_bytes=%zu\n", held_bytes);
	fclose(stdout);
	for (;;)
		pause();
}

/* As many steps as are asked for, or where that is 0 until there is a further line to read. */
static inline size_t worker_do_steps(int work, size_t wanted, int (*step)(void *data), void *data)
{
	struct pollfd more = { .fd = work, .events = POLLIN };
	size_t steps = 0;
	char line[32];

	while (wanted ? steps < wanted : !poll(&more, 1, 0)) {
		if (step(data)) {
			perror("worker: a step");
			exit(1);
		}
		steps++;
	}
	if (!wanted && read(work, line, sizeof(line)) <= 0)
		exit(1);
	return steps;
}

/*
 * Tells the shell how much is held, and does steps when it asks for some: see lib/work.sh. Where
 * nobody is going to ask, it just holds.
 */
static inline void worker_serve(size_t held_bytes, int (*step)(void *data), void *data)
{
	int work = open("/run/work", O_RDWR), worked = open("/run/worked", O_RDWR);
	ssize_t length;
	char line[32];

	if (work < 0 || worked < 0)
		worker_hold(held_bytes);
	printf("held_bytes=%zu\n", held_bytes);
	fclose(stdout);
	while ((length = read(work, line, sizeof(line) - 1)) > 0) {
		size_t wanted;

		line[length] = '\0';
		wanted = strtoull(line, NULL, 10);
		dprintf(worked, "%zu\n", worker_do_steps(work, wanted, step, data));
	}
	exit(1);
}

#endif
