/* Records what a process does to the files below a folder, in order, so that the state after a loss of power can be built from any prefix
   of the record. Preloaded by tests/support/power_loss.py, which describes the format.

   POWER_FOLDER: prefix of the paths; POWER_RECORD: the file that the record is appended to, by all processes. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

struct __attribute__((packed)) entry {
    uint8_t call;
    uint64_t inode, at, size;
    uint32_t first, second;
};

static int record_fd = -1;

static int record(void) {
    if (record_fd < 0 && getenv("POWER_RECORD")) {
        int fd = REAL(open64)(getenv("POWER_RECORD"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        record_fd = fcntl(fd, F_DUPFD_CLOEXEC, 500);
        close(fd);
    }
    return record_fd;
}

static int below(const char *path) {
    const char *folder = getenv("POWER_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

static int concerned(int fd) {
    char path[PATH_MAX];
    return path_of(fd, path);
}

static uint64_t inode_of(int fd) {
    struct stat64 state;
    return fstat64(fd, &state) == 0 ? state.st_ino : 0;
}

static uint64_t inode_at(const char *path) {
    struct stat64 state;
    return lstat64(path, &state) == 0 ? state.st_ino : 0;
}

/* One write to a file that is opened for appending: entries of several processes do not mix. */
static void note(char call, uint64_t inode, uint64_t at, uint64_t size, const void *first, size_t first_size, const char *second) {
    int kept = errno;
    struct entry head = {(uint8_t)call, inode, at, size, (uint32_t)first_size, second ? (uint32_t)strlen(second) : 0};
    struct iovec parts[3] = {{&head, sizeof head}, {(void *)first, first_size}, {(void *)second, head.second}};
    if (record() >= 0 && writev(record(), parts, 3) < 0) abort();
    errno = kept;
}

static uint64_t recorded(void) {
    struct stat64 state;
    return record() >= 0 && fstat64(record(), &state) == 0 ? (uint64_t)state.st_size : 0;
}

ssize_t write(int fd, const void *data, size_t size) {
    ssize_t done = REAL(write)(fd, data, size);
    if (done > 0 && concerned(fd)) note('W', inode_of(fd), (uint64_t)(lseek64(fd, 0, SEEK_CUR) - done), (uint64_t)done, data, (size_t)done, NULL);
    return done;
}

#define PWRITE(name, offset) \
    ssize_t name(int fd, const void *data, size_t size, offset at) { \
        ssize_t done = REAL(name)(fd, data, size, at); \
        if (done > 0 && concerned(fd)) note('W', inode_of(fd), (uint64_t)at, (uint64_t)done, data, (size_t)done, NULL); \
        return done; \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define SYNC(name) \
    int name(int fd) { \
        uint64_t before = recorded(); /* what was noted by now is on disk once this returns */ \
        int done = REAL(name)(fd); \
        if (done == 0 && concerned(fd)) note('S', inode_of(fd), before, 0, NULL, 0, NULL); \
        return done; \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, offset) \
    int name(int fd, offset size) { \
        int done = REAL(name)(fd, size); \
        if (done == 0 && concerned(fd)) note('T', inode_of(fd), 0, (uint64_t)size, NULL, 0, NULL); \
        return done; \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define TRUNCATE_PATH(name, offset) \
    int name(const char *path, offset size) { \
        int done = REAL(name)(path, size); \
        if (done == 0 && below(path)) note('T', inode_at(path), 0, (uint64_t)size, NULL, 0, NULL); \
        return done; \
    }
TRUNCATE_PATH(truncate, off_t)
TRUNCATE_PATH(truncate64, off64_t)

#define FALLOCATE(name, offset) \
    int name(int fd, int mode, offset at, offset size) { \
        int done = REAL(name)(fd, mode, at, size); \
        if (done == 0 && concerned(fd) && (mode & FALLOC_FL_PUNCH_HOLE)) note('Z', inode_of(fd), (uint64_t)at, (uint64_t)size, NULL, 0, NULL); \
        return done; \
    }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

static int removed(const char *path, int (*remove_it)(const char *), char call) {
    uint64_t inode = below(path) ? inode_at(path) : 0;
    int done = remove_it(path);
    if (done == 0 && inode) note(call, inode, 0, 0, path, strlen(path), NULL);
    return done;
}

int unlink(const char *path) { return removed(path, REAL(unlink), 'U'); }
int rmdir(const char *path) { return removed(path, REAL(rmdir), 'X'); }
int remove(const char *path) { return removed(path, REAL(remove), 'U'); }

int unlinkat(int folder, const char *name, int flags) {
    char path[2 * PATH_MAX];
    if (name[0] == '/') return removed(name, flags & AT_REMOVEDIR ? REAL(rmdir) : REAL(unlink), flags & AT_REMOVEDIR ? 'X' : 'U');
    if (folder == AT_FDCWD || !path_of(folder, path)) return REAL(unlinkat)(folder, name, flags);
    size_t size = strlen(path);
    snprintf(path + size, sizeof path - size, "/%s", name);
    uint64_t inode = inode_at(path);
    int done = REAL(unlinkat)(folder, name, flags);
    if (done == 0) note(flags & AT_REMOVEDIR ? 'X' : 'U', inode, 0, 0, path, strlen(path), NULL);
    return done;
}

int rename(const char *from, const char *to) {
    uint64_t inode = below(from) ? inode_at(from) : 0;
    int done = REAL(rename)(from, to);
    if (done == 0 && inode) note('R', inode, 0, 0, from, strlen(from), to);
    return done;
}

int link(const char *from, const char *to) {
    int done = REAL(link)(from, to);
    if (done == 0 && below(to)) note('L', inode_at(to), 0, 0, to, strlen(to), NULL);
    return done;
}

int mkdir(const char *path, mode_t mode) {
    int done = REAL(mkdir)(path, mode);
    if (done == 0 && below(path)) note('D', inode_at(path), 0, 0, path, strlen(path), NULL);
    return done;
}

/* Copies within the kernel are not recorded: callers fall back to read and write. */
ssize_t sendfile(int to, int from, off_t *at, size_t size) { return concerned(to) ? (errno = ENOTSOCK, -1) : REAL(sendfile)(to, from, at, size); }
ssize_t sendfile64(int to, int from, off64_t *at, size_t size) { return concerned(to) ? (errno = ENOTSOCK, -1) : REAL(sendfile64)(to, from, at, size); }

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; \
        va_start(rest, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (!below(path) || !(flags & (O_CREAT | O_TRUNC))) return REAL(name)(path, flags, mode); \
        for (;;) { \
            int fd = flags & O_CREAT ? REAL(name)(path, flags | O_EXCL, mode) : -1; \
            if (fd >= 0) { \
                note('C', inode_of(fd), 0, 0, path, strlen(path), NULL); \
                return fd; \
            } \
            if (flags & O_CREAT && (flags & O_EXCL || errno != EEXIST)) return fd; \
            fd = REAL(name)(path, flags & ~O_CREAT, mode); \
            if (fd >= 0 && flags & O_TRUNC) note('T', inode_of(fd), 0, 0, NULL, 0, NULL); \
            if (fd >= 0 || !(flags & O_CREAT) || errno != ENOENT) return fd; \
        } \
    }
OPEN(open)
OPEN(open64)
