#include "cli/cli.h"

#include <stdio.h>

int cmd_report(int argc, char **argv)
{
    fprintf(stderr, "lmwatt report: not built yet\n");
    return 1;
}
