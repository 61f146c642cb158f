/* Preloaded into one node by test_disks.py: while the trigger file says so, the disk under ledger/ refuses.
   "sync": fsync and fdatasync end with EIO. "write": pwrite ends with ENOSPC. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int refuses(int descriptor, const char *what) {
    const char *trigger = getenv("HANSA_TEST_TRIGGER");
    char word[16] = {0}, name[64], path[4096] = {0};
    int saved = errno, file = trigger ? open(trigger, O_RDONLY) : -1;
    if (file < 0) { errno = saved; return 0; }
    ssize_t count = read(file, word, sizeof word - 1);
    close(file);
    snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(name, path, sizeof path - 1);
    errno = saved;
    return count > 0 && length > 0 && !strcmp(word, what) && strstr(path, "/ledger/") != NULL;
}

#define REAL(type, name, ...) ((type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

int fsync(int descriptor) {
    if (refuses(descriptor, "sync")) { errno = EIO; return -1; }
    return REAL(int, fsync, int)(descriptor);
}

int fdatasync(int descriptor) {
    if (refuses(descriptor, "sync")) { errno = EIO; return -1; }
    return REAL(int, fdatasync, int)(descriptor);
}

ssize_t pwrite(int descriptor, const void *data, size_t count, off_t offset) {
    if (refuses(descriptor, "write")) { errno = ENOSPC; return -1; }
    return REAL(ssize_t, pwrite, int, const void *, size_t, off_t)(descriptor, data, count, offset);
}

ssize_t pwrite64(int descriptor, const void *data, size_t count, off64_t offset) {
    if (refuses(descriptor, "write")) { errno = ENOSPC; return -1; }
    return REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t)(descriptor, data, count, offset);
}
