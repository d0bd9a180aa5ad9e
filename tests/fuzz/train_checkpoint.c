/* Checkpoints: any bytes are loaded whole or refused, and a loaded one can go on. */
#include "base/file.h"
#include "train/train.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct lmw_trainer *tiny_trainer(void)
{
    static const int32_t id[] = {0, 2, 3, 1, 0, 3, 1};
    static const float weight[] = {1, 1, 1, 1, 1, 1, 1};
    static const int64_t start[] = {0, 4, 7};
    struct lmw_train_opts o = lmw_train_defaults();
    o.shape = (struct lmw_train_shape){4, 1, 1, 1, 4, 4, 4};
    o.batch_tokens = 8;
    o.n_thread = 1;
    struct lmw_train_data *d;
    struct lmw_trainer *t;
    struct lmw_err err;
    if (lmw_train_data_from(&d, id, weight, start, 2, 4, &err) < 0 ||
        lmw_trainer_open(&t, &o, d, &err) < 0)
        abort();
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct lmw_trainer *t;
    if (!t)
        t = tiny_trainer();
    int fd = memfd_create("checkpoint", 0);
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || write(fd, bytes, len) != (ssize_t)len)
        abort();
    struct lmw_err err;
    struct lmw_train_stat stat;
    if (lmw_trainer_load(t, path, &err) == LMW_OK)
        lmw_trainer_step(t, 0, &stat, &err); /* its numbers may well diverge: an error, no crash */
    close(fd);
    return 0;
}
