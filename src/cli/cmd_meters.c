#include "cli/cli.h"

#include <stdio.h>

int cmd_meters(int argc, char **argv)
{
    fprintf(stderr, "lmwatt meters: not built yet\n");
    return 1;
}
