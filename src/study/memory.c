/* Resident memory of this process: what a model really takes, with the pages of its mapped file
 * that were touched. Linux keeps the peak (VmHWM) and starts it again when "5" is written to
 * /proc/self/clear_refs. */
#include "study/plan.h"

#include "base/file.h"
#include "base/record.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

bool lmw_rss_reset(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bool ok = fd >= 0 && write(fd, "5", 1) == 1;
    if (fd >= 0)
        close(fd);
    return ok;
}

int64_t lmw_rss_bytes(bool peak)
{
    struct lmw_buf b = {0};
    int64_t bytes = LMW_NULL;
    if (lmw_file_read("/proc/self/status", 1 << 16, &b, NULL) == LMW_OK && b.ptr) {
        const char *line = strstr(b.ptr, peak ? "VmHWM:" : "VmRSS:");
        if (line)
            bytes = strtoll(line + 6, NULL, 10) * 1024;
    }
    lmw_buf_free(&b);
    return bytes;
}
