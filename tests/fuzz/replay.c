/* Runs a fuzz target over every file of a corpus folder, so that each past finding is a test. */
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
    struct lmw_buf b = {0};
    struct lmw_err err = {0};
    if (lmw_file_read(path, 64 << 20, &b, &err) < 0) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    /* An exact-size copy: sanitizers see the first byte past the end. */
    uint8_t *exact = malloc(b.len ? b.len : 1);
    if (!exact)
        return 1;
    memcpy(exact, b.ptr ? b.ptr : "", b.len);
    LLVMFuzzerTestOneInput(exact, b.len);
    free(exact);
    lmw_buf_free(&b);
    return 0;
}

int main(int argc, char **argv)
{
    int n = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        if (!d) {
            perror(argv[i]);
            return 1;
        }
        for (struct dirent *e; (e = readdir(d));) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            failed += replay(path);
            n++;
        }
        closedir(d);
    }
    printf("%d inputs replayed, %d unreadable\n", n, failed);
    return failed || n == 0;
}
