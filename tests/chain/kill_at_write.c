/* Loaded before libc by kill_at_write.py: counts what reaches the disk and kills the process before the n-th.

   Built by test_embedded_kill.py with the machine's C compiler. Only calls on files count, not on the
   terminal or a pipe. With torn set, the n-th is a write of which half has happened. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long armed_at = -1, seen = 0;
static int torn = 0;

void fuqi_arm(long at, int half) { seen = 0; armed_at = at; torn = half; }
long fuqi_seen(void) { return seen; }

static int is_file(int fd) {
    struct stat found;
    return fd > 2 && fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

/* 1: this is the call at which to die. */
static int due(void) { return armed_at >= 0 && seen++ == armed_at; }
static void die(void) { kill(getpid(), SIGKILL); pause(); }

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name))

#define PWRITE(name, offset_type)                                                                 \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) {                     \
        if (is_file(fd) && due()) {                                                               \
            if (torn) REAL(ssize_t, name, int, const void *, size_t, offset_type)(fd, data, size / 2, offset); \
            die();                                                                                \
        }                                                                                         \
        return REAL(ssize_t, name, int, const void *, size_t, offset_type)(fd, data, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t write(int fd, const void *data, size_t size) {
    if (is_file(fd) && due()) {
        if (torn) REAL(ssize_t, write, int, const void *, size_t)(fd, data, size / 2);
        die();
    }
    return REAL(ssize_t, write, int, const void *, size_t)(fd, data, size);
}

#define ON_FD(name)                                                                               \
    int name(int fd) {                                                                            \
        if (is_file(fd) && due()) die();                                                          \
        return REAL(int, name, int)(fd);                                                          \
    }
ON_FD(fsync)
ON_FD(fdatasync)

#define TRUNCATE(name, offset_type)                                                               \
    int name(int fd, offset_type size) {                                                          \
        if (is_file(fd) && due()) die();                                                          \
        return REAL(int, name, int, offset_type)(fd, size);                                       \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define ON_PATHS(name)                                                                            \
    int name(const char *from, const char *to) {                                                  \
        if (due()) die();                                                                         \
        return REAL(int, name, const char *, const char *)(from, to);                             \
    }
ON_PATHS(rename)
ON_PATHS(link)

int unlink(const char *path) {
    if (due()) die();
    return REAL(int, unlink, const char *)(path);
}
