/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* Mapping files, and the one line that is left to say when a mapped file shrinks. */
#include "mapped.h"
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_MAPPED = 8 };

/* Read by the SIGBUS handler; entries without a base are free. */
static struct {
    const unsigned char *base;
    size_t size;
    const char *path;
} live[MAX_MAPPED];

static void put(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_sigbus(int number, siginfo_t *info, void *context)
{
    (void)number;
    (void)context;
    uintptr_t where = (uintptr_t)info->si_addr;
    const char *path = "a mapped file";
    for (int i = 0; i < MAX_MAPPED; i++)
        if (live[i].base && where - (uintptr_t)live[i].base < live[i].size)
            path = live[i].path;
    put("logprob: ");
    put(path);
    put(": cannot be read any more: it became shorter, or its disk failed; expected it to stay as it was opened\n");
    _exit(EXIT_BAD);
}

static void watch(const mapped *file, const char *path)
{
    for (int i = 0; i < MAX_MAPPED; i++) {
        if (live[i].base)
            continue;
        live[i].size = file->size;
        live[i].path = path;
        live[i].base = file->data;
        break;
    }
    struct sigaction action = {0};
    action.sa_sigaction = on_sigbus;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGBUS, &action, NULL);
}

static int map_descriptor(int descriptor, const char *path, mapped *out, fault *why)
{
    struct stat about;
    if (fstat(descriptor, &about))
        return fault_set(why, "%s: cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(about.st_mode))
        return fault_set(why, "%s: is not a regular file; expected a file that can be mapped", path);
    *out = (mapped){NULL, (size_t)about.st_size};
    if (out->size == 0)
        return 0;
    void *data = mmap(NULL, out->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED)
        return fault_set(why, "%s: cannot be mapped: %s", path, strerror(errno));
    madvise(data, out->size, MADV_SEQUENTIAL);
    out->data = data;
    watch(out, path);
    return 0;
}

int mapped_open(const char *path, mapped *out, fault *why)
{
    /* Non-blocking, so that a FIFO is refused instead of waited for. */
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (descriptor < 0)
        return fault_set(why, "%s: cannot be opened: %s", path, strerror(errno));
    int result = map_descriptor(descriptor, path, out, why);
    close(descriptor);
    return result;
}

void mapped_close(mapped *file)
{
    for (int i = 0; i < MAX_MAPPED; i++)
        if (live[i].base == file->data)
            live[i].base = NULL;
    if (file->data)
        munmap((void *)(uintptr_t)file->data, file->size);
    *file = (mapped){NULL, 0};
}
