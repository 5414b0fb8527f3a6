/* Makes the n-th call of one kind fail, once or for ever, for files below a folder. Preloaded by tests/support/faults.py.

   FAULT_FOLDER: prefix of the paths; FAULT_CALL: write, sync, rename, open or truncate; FAULT_AT: number of the call, from 1;
   FAULT_FOREVER: every later call fails too; FAULT_ERRNO: the error; FAULT_NOTE: a file that is made when the first call fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static atomic_int calls;

static int below(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int of_folder(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

static int fails(const char *call, int concerned) {
    const char *wanted = getenv("FAULT_CALL"), *at = getenv("FAULT_AT");
    if (!concerned || !wanted || !at || strcmp(wanted, call)) return 0;
    int number = atomic_fetch_add(&calls, 1) + 1;
    if (number < atoi(at) || (number > atoi(at) && !getenv("FAULT_FOREVER"))) return 0;
    if (number == atoi(at) && getenv("FAULT_NOTE")) close(creat(getenv("FAULT_NOTE"), 0600));
    errno = getenv("FAULT_ERRNO") ? atoi(getenv("FAULT_ERRNO")) : EIO;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) { return fails("write", of_folder(fd)) ? -1 : REAL(write)(fd, data, size); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t at) { return fails("write", of_folder(fd)) ? -1 : REAL(pwrite)(fd, data, size, at); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) { return fails("write", of_folder(fd)) ? -1 : REAL(pwrite64)(fd, data, size, at); }
int fsync(int fd) { return fails("sync", of_folder(fd)) ? -1 : REAL(fsync)(fd); }
int fdatasync(int fd) { return fails("sync", of_folder(fd)) ? -1 : REAL(fdatasync)(fd); }
int ftruncate(int fd, off_t size) { return fails("truncate", of_folder(fd)) ? -1 : REAL(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return fails("truncate", of_folder(fd)) ? -1 : REAL(ftruncate64)(fd, size); }
int rename(const char *from, const char *to) { return fails("rename", below(from)) ? -1 : REAL(rename)(from, to); }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        return fails("open", below(path)) ? -1 : REAL(name)(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
