/* SPDX-License-Identifier: GPL-2.0-only */
/* What audit reads from the kernel's text files; they are opened once and read again in place. */
#ifndef KERNEL_FILES_H
#define KERNEL_FILES_H

#include <glob.h>
#include <sys/klog.h>

#define MOST_RANGES 16
#define MOST_POOLS 8

struct range { uint64_t first, frames; };

static uint64_t page_bytes;
static struct range ram[MOST_RANGES], cma_areas[MOST_RANGES], movable_zone;
static int nr_ram, nr_cma_areas;
static uint64_t system_ram_bytes, reserved_bytes;	/* /proc/iomem */

/* One line of name=value each; what a host does not have is 0. */
static const char * const meminfo_names[] = {
	"MemTotal", "MemFree", "PageTables", "CmaTotal", "CmaFree",
};

static const char * const vmstat_names[] = {
	"nr_free_pages", "nr_free_cma", "nr_page_table_pages", "nr_slab_reclaimable",
	"nr_slab_unreclaimable", "nr_memmap_pages", "nr_memmap_boot_pages",
};

#define NAMES(list) (sizeof(list) / sizeof(*(list)))

struct pool { int nr, idle; uint64_t frames_each; };
static struct pool pools[MOST_POOLS];
static int nr_pools;

enum source { ZONEINFO, PAGETYPEINFO, MEMINFO, VMSTAT, SOURCES };
static const char * const source_paths[] = {
	"/proc/zoneinfo", "/proc/pagetypeinfo", "/proc/meminfo", "/proc/vmstat",
};

static int source_files[SOURCES], stat_refresh;

struct texts {
	char text[SOURCES][32768];
	uint64_t pool_frames, pool_idle_frames;
};

static char *next_line(char *line)
{
	line = strchr(line, '\n');
	return line ? line + 1 : NULL;
}

static void read_again(int file, char *text, size_t room)
{
	size_t used = 0;
	ssize_t got;

	while (used < room - 1 && (got = pread(file, text + used, room - 1 - used, used)) > 0)
		used += got;
	text[used] = 0;
}

static uint64_t number_in(int file)
{
	char text[32];

	read_again(file, text, sizeof(text));
	return strtoull(text, NULL, 10);
}

/* Adds up what the kernel counts per CPU. */
static void refresh_counters(void)
{
	if (write(stat_refresh, "1", 1) != 1)
		exit(5);
}

static void read_texts(struct texts *texts)
{
	memset(texts, 0, sizeof(*texts));
	for (int i = 0; i < SOURCES; i++)
		read_again(source_files[i], texts->text[i], sizeof(texts->text[i]));
	for (int i = 0; i < nr_pools; i++) {
		texts->pool_frames += number_in(pools[i].nr) * pools[i].frames_each;
		texts->pool_idle_frames += number_in(pools[i].idle) * pools[i].frames_each;
	}
}

/* The value after a name and whatever separates them, or 0. */
static uint64_t value_of(char *text, const char *name)
{
	size_t length = strlen(name);

	for (; text; text = next_line(text)) {
		if (!strncmp(text, name, length) && strchr(": ", text[length]))
			return strtoull(text + length + 1, NULL, 10);
	}
	return 0;
}

/* Of a zone: its name, the number's name, the number. */
typedef void found_fn(const char *zone, const char *name, uint64_t number);

static void each_zone_number(char *text, found_fn *found)
{
	char zone[32] = "", name[32];
	unsigned long number;

	for (char *line = text; line && *line; line = next_line(line)) {
		if (sscanf(line, "Node %*d, zone %31s", zone) == 1)
			continue;
		if (sscanf(line, " pages %31[a-z_:] %lu", name, &number) == 2 ||
		    sscanf(line, " %31[a-z_:] %lu", name, &number) == 2)
			found(zone, name, number);
	}
}

static void note_movable_zone(const char *zone, const char *name, uint64_t number)
{
	if (strcmp(zone, "Movable"))
		return;
	if (!strcmp(name, "spanned"))
		movable_zone.frames = number;
	if (!strcmp(name, "start_pfn:"))
		movable_zone.first = number;
}

static void find_movable_zone(struct texts *texts)
{
	movable_zone = (struct range){};
	each_zone_number(texts->text[ZONEINFO], note_movable_zone);
}

static uint64_t waiting, waiting_movable, managed;

static void add_zone_number(const char *zone, const char *name, uint64_t number)
{
	if (!strcmp(name, "count:"))
		*(strcmp(zone, "Movable") ? &waiting : &waiting_movable) += number;
	if (!strcmp(name, "managed"))
		managed += number;
}

/* Copies the line's word of that number, the first being 0. */
static bool word_of(const char *line, int number, char *word, size_t room)
{
	while (number--) {
		line += strspn(line, " ");
		line += strcspn(line, " \n");
	}
	line += strspn(line, " ");
	snprintf(word, room, "%.*s", (int)strcspn(line, " \n"), line);
	return *word;
}

/* Four words stand before the first type, in the heading as in the rows. */
static uint64_t cma_pageblocks(char *text)
{
	char *heading = strstr(text, "Number of blocks"), word[32];
	uint64_t sum = 0;
	int column = 4;

	while (heading && word_of(heading, column, word, sizeof(word)) && strcmp(word, "CMA"))
		column++;
	for (char *line = heading; line && *line; line = next_line(line)) {
		if (word_of(line, column, word, sizeof(word)))
			sum += strtoull(word, NULL, 10);
	}
	return sum;
}

static void print_number(const char *name, uint64_t number, FILE *to)
{
	fprintf(to, " %s=%llu", name, (unsigned long long)number);
}

static void print_value(const char *name, char *text, FILE *to)
{
	print_number(name, value_of(text, name), to);
}

static void print_texts(struct texts *texts, FILE *to)
{
	waiting = 0;
	waiting_movable = 0;
	managed = 0;
	each_zone_number(texts->text[ZONEINFO], add_zone_number);
	print_number("waiting", waiting, to);
	print_number("waiting_movable_zone", waiting_movable, to);
	print_number("managed", managed, to);
	print_number("movable_zone_frames", movable_zone.frames, to);
	print_number("cma_pageblocks", cma_pageblocks(texts->text[PAGETYPEINFO]), to);
	for (size_t i = 0; i < NAMES(meminfo_names); i++)
		print_value(meminfo_names[i], texts->text[MEMINFO], to);
	for (size_t i = 0; i < NAMES(vmstat_names); i++)
		print_value(vmstat_names[i], texts->text[VMSTAT], to);
	print_number("pool_frames", texts->pool_frames, to);
	print_number("pool_idle_frames", texts->pool_idle_frames, to);
	print_number("system_ram", system_ram_bytes / page_bytes, to);
	print_number("top_level_reserved", reserved_bytes / page_bytes, to);
}

static void add_range(struct range *list, int *count, uint64_t start, uint64_t bytes)
{
	if (*count == MOST_RANGES)
		exit(6);
	list[(*count)++] = (struct range){ start / page_bytes, bytes / page_bytes };
}

/* Two cells of 32 bits each for address and size, of the highest byte first. */
static void read_memory_nodes(void)
{
	uint64_t cells[2];
	glob_t nodes = {};

	glob("/proc/device-tree/memory@*/reg", 0, NULL, &nodes);
	for (size_t i = 0; i < nodes.gl_pathc; i++) {
		FILE *reg = fopen(nodes.gl_pathv[i], "r");

		while (reg && fread(cells, sizeof(cells), 1, reg) == 1)
			add_range(ram, &nr_ram, __builtin_bswap64(cells[0]),
				  __builtin_bswap64(cells[1]));
		if (reg)
			fclose(reg);
	}
	globfree(&nodes);
}

/* The memory of virtio-mem devices is RAM too, plugged or not: what their driver claims. */
static void read_iomem(void)
{
	FILE *iomem = fopen("/proc/iomem", "r");
	unsigned long first, last;
	char line[256], name[128];

	while (iomem && fgets(line, sizeof(line), iomem)) {
		if (sscanf(line, " %lx-%lx : %127[^\n]", &first, &last, name) != 3)
			continue;
		if (!strncmp(name, "System RAM", 10))
			system_ram_bytes += last + 1 - first;
		/* Inside System RAM the boot took it; beside it, Linux may not map it. */
		if (*line != ' ' && !strcmp(name, "reserved"))
			reserved_bytes += last + 1 - first;
		if (!strncmp(name, "virtio", 6) && !name[6 + strspn(name + 6, "0123456789")])
			add_range(ram, &nr_ram, first, last + 1 - first);
	}
	fclose(iomem);
}

/* The default area, or one that the device tree names. */
static int says_area(const char *line, unsigned long *start, unsigned long *mebibytes)
{
	const char *word = strstr(line, "cma: Reserved ");
	const char *end = line + strcspn(line, "\n");

	if (word && word < end)
		return sscanf(word, "cma: Reserved %lu MiB at 0x%lx", mebibytes, start) == 2;
	word = strstr(line, "CMA memory pool at ");
	return word && word < end &&
	       sscanf(word, "CMA memory pool at 0x%lx, size %lu MiB", start, mebibytes) == 2;
}

/* Nothing but the log of the boot says where CMA areas lie. */
static void read_kernel_log(void)
{
	int room = klogctl(10, NULL, 0);
	char *log = calloc(1, room + 1);
	unsigned long mebibytes, start;

	klogctl(3, log, room);
	for (char *line = log; line && *line; line = next_line(line)) {
		if (says_area(line, &start, &mebibytes))
			add_range(cma_areas, &nr_cma_areas, start, mebibytes << 20);
	}
	free(log);
}

static void open_pools(void)
{
	glob_t folders = {};
	char path[256];

	glob("/sys/kernel/mm/hugepages/hugepages-*", 0, NULL, &folders);
	for (size_t i = 0; i < folders.gl_pathc && nr_pools < MOST_POOLS; i++) {
		struct pool *pool = &pools[nr_pools++];
		unsigned long kibibytes;

		kibibytes = strtoul(strrchr(folders.gl_pathv[i], '-') + 1, NULL, 10);
		pool->frames_each = kibibytes * 1024 / page_bytes;
		snprintf(path, sizeof(path), "%s/nr_hugepages", folders.gl_pathv[i]);
		pool->nr = open(path, O_RDONLY);
		snprintf(path, sizeof(path), "%s/free_hugepages", folders.gl_pathv[i]);
		pool->idle = open(path, O_RDONLY);
	}
	globfree(&folders);
}

static void open_kernel_files(void)
{
	page_bytes = sysconf(_SC_PAGESIZE);
	stat_refresh = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	for (int i = 0; i < SOURCES; i++)
		source_files[i] = open(source_paths[i], O_RDONLY);
	open_pools();
	read_memory_nodes();
	read_iomem();
	read_kernel_log();
}

#endif
