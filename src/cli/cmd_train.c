#include "cli/cli.h"

#include <stdio.h>

int cmd_train(int argc, char **argv)
{
    fprintf(stderr, "lmwatt train: not built yet\n");
    return 1;
}
