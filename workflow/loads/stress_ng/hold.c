// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a program take memory, and stops it once it has:
 *
 *   hold PROGRAM ARGUMENTS...
 *
 * The program has taken what it takes when none of its processes wants a CPU any more. Then they
 * are all stopped, so that the host stands still. Meanwhile it is noted in /run/reached how much
 * they held at most. Prints held_bytes=, the anonymous memory of all of them as the kernel counts
 * it, and sleeps.
 */
#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "worker.h"

#define LOOK_US 100000
#define NR_LOOKS_IDLE 10

struct group {
	pid_t id;		/* of the first process */
	size_t held_bytes;
	bool is_idle;
};

/* Whatever the program prints goes to the console: standard output is the answer's. */
static pid_t start_group(char **command)
{
	pid_t id = fork();

	if (id)
		return id;
	setpgid(0, 0);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	execv(command[0], command);
	perror(command[0]);
	_exit(1);
}

/* The state of a process of a group, as /proc/PID/stat has it, or 0 where it is of another. */
static char state_in_group(const char *process, pid_t group)
{
	char path[64], line[256] = "", state = 0;
	const char *after_name;
	int its_group = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", process);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fgets(line, sizeof(line), file)) {
		after_name = strrchr(line, ')');
		if (after_name)
			sscanf(after_name, ") %c %*d %d", &state, &its_group);
	}
	fclose(file);
	return its_group == group ? state : 0;
}

/* Of a page that processes share, each has its part. */
static size_t anonymous_bytes(const char *process)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%.20s/smaps_rollup", process);
	return worker_kernel_bytes(path, "Pss_Anon");
}

static void look_at(struct group *group)
{
	DIR *processes = opendir("/proc");
	const struct dirent *entry;

	group->held_bytes = 0;
	group->is_idle = true;
	while (processes && (entry = readdir(processes))) {
		char state = 0;

		if (isdigit(entry->d_name[0]))
			state = state_in_group(entry->d_name, group->id);
		if (!state)
			continue;
		group->held_bytes += anonymous_bytes(entry->d_name);
		if (!strchr("STZ", state))
			group->is_idle = false;
	}
	if (processes)
		closedir(processes);
}

/* Returns 0, or -1 when the program has ended. */
static int await_idle(struct group *group)
{
	int reached = worker_open_note(), nr_idle = 0;
	size_t most_bytes = 0;

	while (nr_idle < NR_LOOKS_IDLE) {
		usleep(LOOK_US);
		if (waitpid(group->id, NULL, WNOHANG))
			return -1;
		look_at(group);
		nr_idle = group->is_idle ? nr_idle + 1 : 0;
		if (group->held_bytes > most_bytes)
			most_bytes = group->held_bytes;
		if (worker_note(reached, most_bytes))
			return -1;
	}
	return close(reached);
}

int main(int argc, char **argv)
{
	struct group group;

	if (argc < 2) {
		fputs("usage: hold PROGRAM ARGUMENTS...\n", stderr);
		return 2;
	}
	group.id = start_group(argv + 1);
	if (group.id < 0 || await_idle(&group) || kill(-group.id, SIGSTOP)) {
		fprintf(stderr, "hold: %s ended before it held its memory\n", argv[1]);
		return 1;
	}
	look_at(&group);
	worker_hold(group.held_bytes);
}
