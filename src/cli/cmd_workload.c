#include "cli/cli.h"

#include <stdio.h>

int cmd_workload(int argc, char **argv)
{
    fprintf(stderr, "lmwatt workload: not built yet\n");
    return 1;
}
